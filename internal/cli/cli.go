// Package cli is what the command lines of both programs share: how errors become lines and exit
// statuses, how signals end a program, and how output is chosen. A program's own commands are in
// its folder under cmd.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses, for scripts.
const (
	ExitFailed   = 1 // it did not work, or what was asked for was found wanting
	ExitUsage    = 2 // the command line or the settings are wrong
	ExitSignaled = 130
)

// Streams are where one run of a program writes.
type Streams struct {
	Stdout, Stderr io.Writer
}

// Run runs a tree of commands and returns the exit status. The first interrupt or request to
// terminate ends the context, which asks for an orderly end; the second ends the program.
func Run(s Streams, root *cobra.Command) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		os.Exit(ExitSignaled)
	}()
	return s.Report(root.Name(), root.ExecuteContext(ctx))
}

// Report prints what went wrong, a line per problem, and returns the exit status.
func (s Streams) Report(program string, err error) int {
	var quiet *statusError
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &quiet):
		return quiet.status
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(s.Stderr, "%s: %s\n", program, line)
	}
	if errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitFailed
}

// Printf writes to standard output, which may be a pipe that somebody has closed: then nobody is
// reading.
func (s Streams) Printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Stdout, format, args...)
}

// Warnf prints beside what standard output is for, which a program may be reading.
func (s Streams) Warnf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Stderr, format, args...)
}

// PrintJSON prints one value for machines that people look at too.
func (s Streams) PrintJSON(v any) error {
	encoder := json.NewEncoder(s.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// PrintRecords prints a list as one array when the format is json, and else as a line per record.
func PrintRecords[T any](s Streams, records []T, format string) error {
	if format == "json" {
		if records == nil {
			records = []T{}
		}
		return s.PrintJSON(records)
	}
	encoder := json.NewEncoder(s.Stdout)
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return err
		}
	}
	return nil
}

// statusError ends the program after the command has said all there is to say.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// Exit is an error that ends the program with this status and prints nothing.
func Exit(status int) error { return &statusError{status} }

// usageError is an error of whoever typed the command or wrote the settings.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Usage makes an error one of whoever typed the command or wrote the settings.
func Usage(err error) error { return &usageError{err} }

// Usagef is Usage of a formatted text.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }
