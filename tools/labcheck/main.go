// Labcheck visits the lab's page with a real browser: it presses each button with the mouse, and
// wants what the button announces, on the page and in the database. It walks the guided tour by
// keyboard, opens stories and the quarantine, and looks at the page on a phone, in the dark and in
// Chinese. A message on the browser's console is a failure, and so is a request that leaves this
// machine. With -shots it leaves a picture of each of these.
//
// It starts the lab itself, with real servers, and needs Chromium or Chrome. It is a module of its
// own, so that the programs do not depend on what drives a browser.
//
// usage: labcheck [-shots FOLDER] ROOT, the folder that holds build/payment-lab
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Limits of a visit.
const (
	limit    = 20 * time.Minute
	starting = 3 * time.Minute
	ending   = time.Minute
)

func main() {
	shots := flag.String("shots", "", "leave pictures of the page in this `FOLDER`")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: labcheck [-shots FOLDER] ROOT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, flag.Arg(0), *shots); err != nil {
		fmt.Fprintln(os.Stderr, "labcheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, shots string) (err error) {
	if shots != "" {
		if err := os.MkdirAll(shots, 0o755); err != nil {
			return err
		}
	}
	address, end, err := startLab(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	v, leave, err := open(ctx, address, shots)
	if err != nil {
		return err
	}
	defer leave()
	failed := 0
	for _, c := range checks() {
		begin := time.Now()
		err := c.run(v)
		err = errors.Join(err, v.complaints())
		word := "ok    "
		if err != nil {
			word = "FAILED"
			failed++
		}
		fmt.Printf("%s  %5.1f s  %s\n", word, time.Since(begin).Seconds(), c.name)
		if err != nil {
			fmt.Println("       ", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(checks()))
	}
	fmt.Printf("labcheck: %d checks, all ok\n", len(checks()))
	return nil
}

var pageAddress = regexp.MustCompile(`http://\S+/\?token=\S+`)

// startLab starts the lab and returns the address of its page, and what ends it.
func startLab(ctx context.Context, root string) (address string, end func() error, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "build", "payment-lab"),
		"--home", filepath.Join(root, ".stack"), "serve", "--no-browser")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = ending
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("%w: run make build", err)
	}
	found := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at := pageAddress.FindString(lines.Text()); at != "" {
				found <- at
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	end = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		var status *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 130 {
			return fmt.Errorf("the lab ended with %w, not as one that was interrupted", err)
		}
		return nil
	}
	select {
	case address = <-found:
		return address, end, nil
	case <-read:
		return "", nil, errors.Join(errors.New("the lab did not start"), cmd.Wait())
	case <-time.After(starting):
		return "", nil, errors.Join(errors.New("the lab takes too long to start"), end())
	}
}
