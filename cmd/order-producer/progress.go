package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// How often progress is shown: a bar that a person watches, and lines that end up in a log.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

// progress shows on standard error how far a load has come.
type progress struct {
	out     io.Writer
	bar     *progressbar.ProgressBar // nil where no terminal is
	tally   *tally
	total   int
	stop    chan struct{}
	stopped sync.WaitGroup
}

// watch shows progress until it is closed. A total of 0 is one that nobody knows.
func (a *app) watch(t *tally, total int) *progress {
	p := &progress{out: a.Stderr, tally: t, total: total, stop: make(chan struct{})}
	every := lineEvery
	if file, ok := a.Stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar, every = newBar(a.Stderr, total), barEvery
	}
	p.stopped.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

func newBar(out io.Writer, total int) *progressbar.ProgressBar {
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription("sending"),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("msg"),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
	)
}

func (p *progress) show() {
	all, took := p.tally.now()
	if p.bar != nil {
		_ = p.bar.Set(all.Messages) // a terminal that is gone is nobody's problem
		return
	}
	of := ""
	if p.total > 0 {
		of = fmt.Sprintf(" of %d", p.total)
	}
	p.line(fmt.Sprintf("%d%s messages, %d failed, %d unknown, %.0f a second", all.Messages, of,
		all.Failed, all.Unknown, float64(all.Messages)/took.Seconds()))
}

// line prints a line that stays.
func (p *progress) line(text string) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	_, _ = fmt.Fprintln(p.out, "order-producer:", text)
}

func (p *progress) close() {
	close(p.stop)
	p.stopped.Wait()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
