package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/payment/internal/devstack"
)

func (l *lab) up() *cobra.Command {
	var fresh bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the servers and leave them running in the background",
		Long: `Starts the servers, waits until they are ready, writes the environment variables that
the programs read to HOME/env, and returns. The data stays over down and up.`,
		Example: `  payment-lab up
  . .stack/env
  payment-lab up --fresh    # with empty data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			unlock, err := devstack.Lock(l.home)
			if err != nil {
				return err
			}
			defer unlock()
			return l.runUp(cmd.Context(), fresh)
		},
	}
	cmd.Flags().BoolVar(&fresh, "fresh", false, "end the servers if they run, and erase their data")
	return cmd
}

func (l *lab) runUp(ctx context.Context, fresh bool) error {
	opts, err := l.options()
	if err != nil {
		return err
	}
	opts.Background = true
	if stack, err := devstack.Find(opts); err != nil {
		return err
	} else if stack != nil {
		if names, all := stack.Running(); all && len(names) > 0 && !fresh {
			fmt.Fprintln(l.out, "already running")
			return l.banner(stack)
		}
		// What is left of a stack that lost some of its servers is ended, and all start anew.
		end := l.close
		if fresh {
			end = closeAtOnce
		}
		if err := end(stack); err != nil {
			return err
		}
	}
	if fresh {
		if err := os.RemoveAll(filepath.Join(l.home, "data")); err != nil {
			return err
		}
	}
	stack, err := devstack.Start(ctx, opts)
	if err != nil {
		return err
	}
	if err := stack.WriteEnv(l.envFile()); err != nil {
		return errors.Join(err, closeAtOnce(stack))
	}
	return l.banner(stack)
}

// notEndedError says what of a stack may still run.
type notEndedError struct{ err error }

func (e *notEndedError) Error() string { return e.err.Error() }
func (e *notEndedError) Unwrap() error { return e.err }

// close ends a stack in order.
func (l *lab) close(stack *devstack.Stack) error {
	ctx, cancel := l.closing()
	defer cancel()
	if err := stack.Close(ctx); err != nil {
		return &notEndedError{err}
	}
	return nil
}

// closeAtOnce is close for a stack whose data is not needed any more.
func closeAtOnce(stack *devstack.Stack) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return stack.Close(ctx)
}

func (l *lab) down() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the servers that up started",
		Long: `Ends exactly the processes that up started, in order: a number that the system has
given to another process since is left alone. The data stays.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			unlock, err := devstack.Lock(l.home)
			if err != nil {
				return err
			}
			defer unlock()
			return l.runDown()
		},
	}
}

func (l *lab) runDown() error {
	opts, err := l.options()
	if err != nil {
		return err
	}
	stack, err := devstack.Find(opts)
	if err != nil {
		return err
	}
	var names []devstack.Server
	if stack != nil {
		names, _ = stack.Running()
	}
	if len(names) == 0 {
		fmt.Fprintln(l.out, "nothing is running")
		return nil
	}
	fmt.Fprintln(l.out, "ending the servers; the broker takes up to 20 s")
	if err := l.close(stack); err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintf(l.out, "  %-12s ended\n", name)
	}
	// Sourced now, it would point to servers that are gone.
	if err := os.Remove(l.envFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// banner says how to reach the servers, where their data is, and what to do next.
func (l *lab) banner(stack *devstack.Stack) error {
	_, err := fmt.Fprintf(l.out, `
The servers run until make down.

  name server   %s
  broker        %s
  database      %s
                %s
  cache         %s
                %s
  data, logs    %s
                erase it: build/payment-lab up --fresh

Next:
  . %s
  build/payment-consumer
  build/order-producer load --orders 100
  build/payment-consumer audit
`, stack.Address(devstack.NameServer), stack.Address(devstack.Broker),
		stack.Address(devstack.MySQL), stack.MySQLCommand(),
		stack.Address(devstack.Redis), stack.RedisCommand(), stack.Data(), l.envFile())
	return err
}
