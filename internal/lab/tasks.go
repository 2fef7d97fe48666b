package lab

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what may be asked for.
const (
	maxRunning = 8 // besides one that is exclusive
	maxLines   = 24
	// taskLimit is how long one action may take: the longest wait for a broker that starts.
	taskLimit = 4 * time.Minute
)

// Input is what a page may send along with an action. Everything in it was checked.
type Input struct {
	// Serial is the serial number that an action is about; empty for the last one.
	Serial string
	// ID is the number of a message in quarantine.
	ID int64
}

// Stage is the running system. Its methods are called by many at once, Do at most once at a time
// for actions that are exclusive.
type Stage interface {
	// Do carries out an action and tells line by line what happens.
	Do(ctx context.Context, action string, in Input, tell func(Line)) error
	// Why is what payment-consumer why says about a serial, as JSON.
	Why(ctx context.Context, serial string) ([]byte, error)
	// Quarantine is what payment-consumer quarantine says, as JSON: the list for 0, else a message.
	Quarantine(ctx context.Context, id int64) ([]byte, error)
}

// Errors of tasks.begin.
var (
	errUnknownAction = errors.New("there is no such action")
	errBusy          = errors.New("another action that changes the servers is still under way")
	errTooMany       = errors.New("too many actions are under way")
	errDown          = errors.New("a server that this needs is down: start it first")
)

// errCalledOff is the cause of the end of what was under way when a new ledger began.
var errCalledOff = errors.New("called off: a new ledger begins")

// tasks runs what pages ask for.
type tasks struct {
	stage Stage
	state *State
	now   func() time.Time

	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup

	mu      sync.Mutex
	made    int64
	running map[int64]*running
}

// running is a task that is under way.
type running struct {
	action Action
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func newTasks(stage Stage, state *State, now func() time.Time) *tasks {
	ctx, stop := context.WithCancel(context.Background())
	return &tasks{
		stage: stage, state: state, now: now, ctx: ctx, stop: stop, running: map[int64]*running{},
	}
}

// begin starts an action and returns the number of its task.
func (t *tasks) begin(id string, in Input) (int64, error) {
	actions := Actions()
	i := slices.IndexFunc(actions, func(a Action) bool { return a.ID == id })
	if i < 0 {
		return 0, errUnknownAction
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refuse(actions[i]); err != nil {
		return 0, err
	}
	t.made++
	ctx, cancel := context.WithCancelCause(t.ctx)
	r := &running{action: actions[i], ctx: ctx, cancel: cancel, ended: make(chan struct{})}
	t.running[t.made] = r
	task := Task{ID: t.made, Action: id, State: TaskRunning, Begun: t.now().UnixMilli()}
	task.Lines = []Line{}
	t.state.setTask(task)
	t.wait.Go(func() { t.run(task, in, r) })
	return task.ID, nil
}

// refuse says why an action cannot begin now. An exclusive one is never one too many: what is under
// way may be waiting for the very server that it starts.
func (t *tasks) refuse(a Action) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	side := 0
	for _, r := range t.running {
		if r.action.bars(a) {
			return errBusy
		}
		if !r.action.Exclusive {
			side++
		}
	}
	switch {
	case !a.Exclusive && side >= maxRunning:
		return errTooMany
	case t.state.down(strings.Fields(a.Needs)):
		return errDown
	}
	return nil
}

func (t *tasks) run(task Task, in Input, r *running) {
	defer close(r.ended)
	defer r.cancel(nil)
	ctx, cancel := context.WithTimeout(r.ctx, taskLimit)
	defer cancel()
	if r.action.Anew {
		t.callOff(task.ID)
	}
	var telling sync.Mutex
	tell := func(l Line) {
		telling.Lock()
		defer telling.Unlock()
		if len(task.Lines) < maxLines {
			task.Lines = append(task.Lines, l)
			t.state.setTask(task)
		}
	}
	err := t.stage.Do(ctx, task.Action, in, tell)
	t.mu.Lock()
	delete(t.running, task.ID)
	t.mu.Unlock()
	telling.Lock()
	defer telling.Unlock()
	task.State, task.Ended = TaskDone, t.now().UnixMilli()
	switch {
	case err == nil:
	case errors.Is(context.Cause(r.ctx), errCalledOff):
		task.State = TaskOff
	default:
		task.State, task.Error = TaskFailed, err.Error()
	}
	t.state.setTask(task)
}

// callOff ends all tasks but one, and waits for their end.
func (t *tasks) callOff(but int64) {
	t.mu.Lock()
	others := maps.Clone(t.running)
	t.mu.Unlock()
	delete(others, but)
	for _, r := range others {
		r.cancel(errCalledOff)
	}
	for _, r := range others {
		<-r.ended
	}
}

// close calls off what runs and waits for it.
func (t *tasks) close() {
	t.mu.Lock()
	t.stop()
	t.mu.Unlock()
	t.wait.Wait()
}
