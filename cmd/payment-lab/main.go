// Command payment-lab starts the real servers that the payment consumer needs, for a demo, for
// the tests, or to be kept running, on a machine that has none of them installed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

// run starts, waits and ends. The first signal calls the work off, and what was started ends in
// order; the second one ends everything at once.
func run() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	soft, cancelSoft := context.WithCancel(context.Background())
	defer cancelSoft()
	hard, cancelHard := context.WithCancel(context.Background())
	defer cancelHard()
	go func() {
		<-signals
		cancelSoft()
		<-signals
		cancelHard()
	}()
	err := command(hard).ExecuteContext(soft)
	return status(err, soft.Err() != nil)
}

// Exit statuses beside 0 and 1.
const statusInterrupted = 130

// status shows the error, and passes the status of a program that exec ran through unchanged.
func status(err error, interrupted bool) int {
	var ended statusError
	var left *notEndedError
	switch {
	case errors.As(err, &ended):
		return int(ended)
	case interrupted && errors.As(err, &left):
		fmt.Fprintln(os.Stderr, "payment-lab: interrupted, and not everything has ended:", left)
		return 1
	case interrupted:
		fmt.Fprintln(os.Stderr, "payment-lab: interrupted; everything that was started has ended")
		return statusInterrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, "payment-lab:", err)
		return 1
	}
	return 0
}
