package idem

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// ErrClosed is returned by Do once the Batcher has been closed.
var ErrClosed = errors.New("idem: closed")

// PanicError is what every caller of a batch gets when the function that handles it panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error says what kind of value the function panicked with, and not the value, which may be made
// of what a sender wrote. Only the Go runtime's own errors are known not to be.
func (e *PanicError) Error() string {
	if own, ok := e.Value.(runtime.Error); ok {
		return "idem: recovered a panic: " + own.Error()
	}
	return fmt.Sprintf("idem: recovered a panic with a %T", e.Value)
}

// recoverTo is to be deferred: it turns a panic of the function around it into its error.
func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: debug.Stack()}
	}
}

// BatcherOptions bound a Batcher. All three are at least 1.
type BatcherOptions struct {
	Max     int // items in one batch
	Workers int // batches under way at once
	Waiting int // items that wait for a worker; Do blocks beyond it
}

// Batcher gathers concurrent calls into batches: while one batch is under way new calls pile
// up, and the next free worker takes all of them, up to Max. There is no timer, so a call that
// comes alone is handled at once. It is what databases call group commit.
//
// A Batcher owns Workers goroutines, from NewBatcher until Close.
type Batcher[In, Out any] struct {
	run     func(ctx context.Context, in []In) []Out
	max     int
	free    sync.Pool // of *call, to be used again
	queue   chan *call[In, Out]
	turn    chan struct{} // holds a token while a worker gathers
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// call is one call of Do. A worker writes out and err, then signals done, and does not look at the
// call again. So it is free again once that signal was received, and never when its caller has
// gone without.
type call[In, Out any] struct {
	in   In
	ctx  context.Context
	out  Out
	err  error
	done chan struct{} // with room for the one signal
}

// NewBatcher starts the workers. The function run gets at least one item and returns one answer
// per item, in order. Its context is never cancelled: a batch belongs to many callers, so run
// keeps a time limit of its own.
func NewBatcher[In, Out any](
	opts BatcherOptions, run func(ctx context.Context, in []In) []Out,
) *Batcher[In, Out] {
	b := &Batcher[In, Out]{
		run:     run,
		max:     max(1, opts.Max),
		queue:   make(chan *call[In, Out], max(1, opts.Waiting)),
		turn:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	var workers sync.WaitGroup
	for range max(1, opts.Workers) {
		workers.Go(b.work)
	}
	go func() {
		workers.Wait()
		close(b.stopped)
	}()
	return b
}

// Do hands in to the next batch and waits for its answer. When ctx ends first, Do returns its
// error: an item that no worker has taken yet is then dropped, one that is under way is not
// called back, so its answer is unknown. It is safe for concurrent use.
func (b *Batcher[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	var none Out
	select {
	case <-b.closing:
		return none, ErrClosed
	default:
	}
	c := b.newCall(ctx, in)
	if err := b.enqueue(ctx, c); err != nil {
		return none, err
	}
	select {
	case <-c.done:
		return b.answerOf(c)
	case <-ctx.Done():
	case <-b.stopped:
	}
	// The answer may have come in the same moment, and is worth more than a reason not to wait.
	select {
	case <-c.done:
		return b.answerOf(c)
	default:
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	return none, ErrClosed // the last worker stopped without having seen this call
}

// enqueue waits for room in the queue. There nearly always is, and then nothing that might end the
// wait is looked at: each of these channels has a lock that all callers share.
func (b *Batcher[In, Out]) enqueue(ctx context.Context, c *call[In, Out]) error {
	ended := ctx.Done()
	select {
	case b.queue <- c:
		return nil
	default:
	}
	select {
	case b.queue <- c:
		return nil
	case <-ended:
		return ctx.Err()
	case <-b.closing:
		return ErrClosed
	}
}

func (b *Batcher[In, Out]) newCall(ctx context.Context, in In) *call[In, Out] {
	c, ok := b.free.Get().(*call[In, Out])
	if !ok {
		c = &call[In, Out]{done: make(chan struct{}, 1)}
	}
	c.in, c.ctx = in, ctx
	return c
}

// answerOf returns the answer of a call that is done, and frees the call.
func (b *Batcher[In, Out]) answerOf(c *call[In, Out]) (Out, error) {
	out, err := c.out, c.err
	*c = call[In, Out]{done: c.done}
	b.free.Put(c)
	return out, err
}

// Waiting returns how many items no worker has taken yet.
func (b *Batcher[In, Out]) Waiting() int { return len(b.queue) }

// Close refuses new calls, lets the workers finish what is waiting, and returns when the last
// of them has stopped. It may be called more than once.
func (b *Batcher[In, Out]) Close() {
	b.once.Do(func() { close(b.closing) })
	<-b.stopped
}

func (b *Batcher[In, Out]) work() {
	for calls := b.next(); len(calls) > 0; calls = b.next() {
		b.handle(calls)
	}
}

// next waits for a call and takes it with all that wait behind it; nothing once the Batcher is
// closed and empty. One worker at a time: the others would each take a call of what could be one
// batch.
func (b *Batcher[In, Out]) next() []*call[In, Out] {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	select {
	case c := <-b.queue:
		return b.gather(c)
	case <-b.closing:
		select {
		case c := <-b.queue:
			return b.gather(c)
		default:
			return nil
		}
	}
}

// gather takes what is waiting behind the first call, without waiting for more.
func (b *Batcher[In, Out]) gather(first *call[In, Out]) []*call[In, Out] {
	// What brought the first call brings others, such as the end of a batch that they waited for.
	// Let them come; when nothing else can run, this takes no time.
	runtime.Gosched()
	calls := []*call[In, Out]{first}
	for len(calls) < b.max {
		select {
		case c := <-b.queue:
			calls = append(calls, c)
		default:
			return calls
		}
	}
	return calls
}

func (b *Batcher[In, Out]) handle(calls []*call[In, Out]) {
	waiting := calls[:0]
	for _, c := range calls {
		if c.ctx.Err() == nil {
			waiting = append(waiting, c)
		}
	}
	if len(waiting) == 0 {
		return
	}
	in := make([]In, len(waiting))
	for i, c := range waiting {
		in[i] = c.in
	}
	out, err := b.guarded(in)
	for i, c := range waiting {
		if err != nil {
			c.err = err
		} else {
			c.out = out[i]
		}
		c.done <- struct{}{}
	}
}

// guarded runs one batch so that whatever happens in it, every caller gets an answer.
func (b *Batcher[In, Out]) guarded(in []In) (out []Out, err error) {
	defer recoverTo(&err)
	out = b.run(context.Background(), in)
	if len(out) != len(in) {
		return nil, fmt.Errorf("idem: batch of %d items got %d answers", len(in), len(out))
	}
	return out, nil
}
