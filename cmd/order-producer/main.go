// Order-producer sends order messages and reads their results: one order by flags, many generated
// ones, or those of a file. Run it with --help.
package main

import (
	"os"

	"example.com/payment/internal/cli"
)

func main() {
	a := &app{
		Streams: cli.Streams{Stdout: os.Stdout, Stderr: os.Stderr},
		stdin:   os.Stdin,
		environ: os.Environ(),
		dial:    dialBroker,
	}
	os.Exit(cli.Run(a.Streams, a.command()))
}
