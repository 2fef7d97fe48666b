package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/devstack"
)

// lab is what every command shares.
type lab struct {
	// home is the folder that everything is kept under.
	home string
	// hard ends with the second signal: what is still running is killed then.
	hard context.Context
	out  io.Writer
}

// command is the tree of commands. The context of ExecuteContext ends with the first signal and
// hard with the second.
func command(hard context.Context) *cobra.Command {
	l := &lab{hard: hard, out: os.Stdout}
	root := &cobra.Command{
		Use:   "payment-lab",
		Short: "Start the real servers that the payment consumer needs",
		Long: `payment-lab starts RocketMQ, MariaDB (or MySQL) and Redis as ordinary processes on
free loopback ports. It needs a JDK and Maven, which brings the servers' files once, and no
root. A server that the machine has is used instead: mariadbd, mysqld or redis-server on the
PATH, or one that runs already:

  PAYMENT_LAB_MYSQL=USER:PASSWORD@HOST:PORT
  PAYMENT_LAB_REDIS=:PASSWORD@HOST:PORT
  PAYMENT_LAB_NAME_SERVER=HOST:PORT and PAYMENT_LAB_BROKER=HOST:PORT`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	home := os.Getenv("PAYMENT_LAB_HOME")
	if home == "" {
		home = ".stack"
	}
	root.PersistentFlags().StringVar(&l.home, "home", home,
		"folder for the servers' files and their data (PAYMENT_LAB_HOME)")
	root.AddCommand(l.doctor(), l.demo(), l.up(), l.down(), l.exec(),
		l.faults(), l.soak(), l.mutants(), l.reliability(), l.exhibits(), l.exhibit(),
		l.bench(), l.benchCompare(), l.benchScale(), l.benchDrop(), l.serve())
	return root
}

// options are those of a stack under this lab's home.
func (l *lab) options() (devstack.Options, error) {
	external, err := devstack.ExternalFromEnv(os.Getenv)
	return devstack.Options{
		Home:     l.home,
		External: external,
		Prepare:  prepare,
		Progress: l.progress,
	}, err
}

func (l *lab) progress(e devstack.Event) {
	if e.Pending {
		fmt.Fprintf(l.out, "  %-12s %s ...\n", e.What, e.Detail)
		return
	}
	fmt.Fprintf(l.out, "  %-12s ready after %4.1f s  %s\n", e.What, e.Took.Seconds(), e.Detail)
}

// envFile is what a shell sources to use the background stack.
func (l *lab) envFile() string { return filepath.Join(l.home, "env") }

// closing is the context for ending what was started: the first signal has ended the command's
// own, and the second one ends this.
func (l *lab) closing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.hard, closeTimeout)
}

const closeTimeout = time.Minute
