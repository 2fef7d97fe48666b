package lab

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Bounds of what may be asked for.
const (
	maxRunning = 8
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
)

// tasks runs what pages ask for.
type tasks struct {
	stage Stage
	state *State
	now   func() time.Time

	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup

	mu        sync.Mutex
	made      int64
	running   int
	exclusive bool
}

func newTasks(stage Stage, state *State, now func() time.Time) *tasks {
	ctx, stop := context.WithCancel(context.Background())
	return &tasks{stage: stage, state: state, now: now, ctx: ctx, stop: stop}
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
	switch {
	case t.ctx.Err() != nil:
		return 0, t.ctx.Err()
	case actions[i].Exclusive && t.exclusive:
		return 0, errBusy
	case t.running >= maxRunning:
		return 0, errTooMany
	}
	t.made++
	t.running++
	t.exclusive = t.exclusive || actions[i].Exclusive
	task := Task{ID: t.made, Action: id, State: TaskRunning, Begun: t.now().UnixMilli()}
	task.Lines = []Line{}
	t.state.setTask(task)
	t.wait.Go(func() { t.run(task, in, actions[i].Exclusive) })
	return task.ID, nil
}

func (t *tasks) run(task Task, in Input, exclusive bool) {
	ctx, cancel := context.WithTimeout(t.ctx, taskLimit)
	defer cancel()
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
	t.running--
	if exclusive {
		t.exclusive = false
	}
	t.mu.Unlock()
	telling.Lock()
	defer telling.Unlock()
	task.State, task.Ended = TaskDone, t.now().UnixMilli()
	if err != nil {
		task.State, task.Error = TaskFailed, err.Error()
	}
	t.state.setTask(task)
}

// close calls off what runs and waits for it.
func (t *tasks) close() {
	t.mu.Lock()
	t.stop()
	t.mu.Unlock()
	t.wait.Wait()
}
