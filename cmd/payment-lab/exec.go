package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/devstack"
)

// endTimeout is how long the program that exec runs may take to end after a signal.
const endTimeout = 10 * time.Second

func (l *lab) exec() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "exec [flags] -- PROGRAM [ARGUMENT...]",
		Short: "Run a program with a stack of its own",
		Long: `Starts a private stack in a folder of its own, runs the program with the stack's
addresses in its environment, ends everything, and exits with the program's status.`,
		Example: `  payment-lab exec -- go test ./internal/mysql/
  payment-lab exec -- sh -c 'build/payment-consumer audit'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			// The program's output is the caller's; the stack's own goes beside it.
			l.out = os.Stderr
			opts, err := l.options()
			if err != nil {
				return err
			}
			opts.KeepData = keep
			if _, err := exec.LookPath(args[0]); err != nil {
				return err // before the servers start, not after
			}
			begin := time.Now()
			stack, err := devstack.Start(cmd.Context(), opts)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.close(stack)) }()
			fmt.Fprintf(l.out, "  %-12s ready after %4.1f s  %s\n", "stack",
				time.Since(begin).Seconds(), stack.Data())
			return runWith(cmd.Context(), l.hard, args, stack.Environ("PAYMENT_TEST_REQUIRE=1"))
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the stack's folder, with the servers' logs")
	return cmd
}

// runWith runs a program in a process group of its own, so that whatever it starts can be ended
// with it. When ctx ends it is asked to end, and when hard ends it has to.
func runWith(ctx, hard context.Context, args, env []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Stdin = input()
	cmd.SysProcAttr = devstack.ChildAttributes(false)
	group := func(sig syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, sig) }
	cmd.Cancel = func() error { return group(syscall.SIGTERM) }
	cmd.WaitDelay = endTimeout
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(hard, func() { _ = group(syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	_ = group(syscall.SIGKILL) // what the program left running, if anything
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		return statusError(ended.ExitCode())
	}
	return err
}

// statusError is the exit status of the program that exec ran.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("ended with status %d", int(s)) }

// input is the standard input unless that is a terminal: a program in another process group may
// not read from it and would be stopped.
func input() io.Reader {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return nil
	}
	return os.Stdin
}
