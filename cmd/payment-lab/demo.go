package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/cmd/payment-lab/demo"
	"example.com/payment/internal/devstack"
)

// proxyHost is the loopback address at which the demo's proxy stands before the broker: clients
// connect to the address that the name server hands out, so the two need one each.
const proxyHost = "127.0.0.2"

func (l *lab) demo() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show idempotent payments on real servers, in a minute",
		Long: `Starts a stack of its own and two payment-consumer processes, and runs order-producer
against them: orders for the first time, and then everything that makes a message come again,
really made to happen: a lost answer, kill -9, a rebalance. It shows which step saw each
duplicate and closes with a table, the audit and one line of totals. The exit status is 0 only
if everything was as told. Ctrl-C ends it at any moment and leaves no process behind.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			begin := time.Now()
			opts, err := l.options()
			if err != nil {
				return err
			}
			opts.ProxyHost, opts.KeepData = proxyHost, keep
			programs, err := programs()
			if err != nil {
				return err
			}
			fmt.Fprintln(l.out, "checking this machine")
			checks := devstack.Doctor(cmd.Context(), opts)
			l.printChecks(checks)
			if err := missing(checks); err != nil {
				return err
			}
			fmt.Fprintln(l.out, "\nstarting RocketMQ, the database and Redis")
			stack, err := devstack.Start(cmd.Context(), opts)
			if err != nil {
				return err
			}
			defer func() {
				if err != nil && cmd.Context().Err() == nil {
					// What went wrong names logs.
					err = errors.Join(err, stack.Keep())
				}
				err = errors.Join(err, l.close(stack))
			}()
			l.demoBanner(stack, keep)
			return demo.Run(cmd.Context(), demo.Config{
				Stack: stack, Programs: programs, Out: l.out, Begin: begin,
			})
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the demo's folder, with all data and logs")
	return cmd
}

// programs is the folder of this program, where the other two are expected.
func programs() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	folder := filepath.Dir(self)
	return folder, demo.CheckPrograms(folder)
}

func (l *lab) demoBanner(stack *devstack.Stack, keep bool) {
	fate := "erased when the demo ends well; build/payment-lab demo --keep leaves it"
	if keep {
		fate = "left for you; erase it with rm -r"
	}
	fmt.Fprintf(l.out, `
  name server  %s
  broker       %s, behind a proxy that can lose answers
  database     %s
               %s
  cache        %s
               %s
  data, logs   %s
               (%s)

  try next     make up            the same servers, kept running in the background
               . .stack/env       the variables that both programs read
               build/payment-consumer          in one terminal, and in another:
               build/order-producer send --payer user-1 --payee shop-1 --amount 19.99
               build/payment-consumer why SERIAL

`, stack.Address(devstack.NameServer), stack.Address(devstack.Broker),
		stack.Address(devstack.MySQL), stack.MySQLCommand(),
		stack.Address(devstack.Redis), stack.RedisCommand(), stack.Data(), fate)
}
