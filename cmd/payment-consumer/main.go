// Payment-consumer makes the payment of each order message exactly once, however often the
// broker delivers it, and carries the commands that look after it: migrate, accounts, audit, why,
// quarantine, epoch, archive, healthy and config. Run it with --help.
package main

import (
	"os"

	"example.com/payment/internal/cli"
)

func main() {
	a := &app{
		Streams: cli.Streams{Stdout: os.Stdout, Stderr: os.Stderr},
		environ: os.Environ(),
	}
	os.Exit(cli.Run(a.Streams, a.command()))
}
