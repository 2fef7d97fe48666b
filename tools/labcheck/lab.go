package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// lab is payment-lab serve, with its servers.
type lab struct {
	cmd      *exec.Cmd
	said     chan struct{} // closed when it says nothing more
	programs string
	address  string            // of the page
	env      map[string]string // that lets programs reach its servers
}

var (
	pageAddress = regexp.MustCompile(`http://\S+/\?token=\S+`)
	envFile     = regexp.MustCompile(`a terminal +\. (\S+)`)
)

// startLab starts the lab and waits until it has said where its page is.
func startLab(ctx context.Context, root string) (*lab, error) {
	l := &lab{programs: filepath.Join(root, "build"), said: make(chan struct{})}
	l.cmd = exec.CommandContext(ctx, filepath.Join(l.programs, "payment-lab"),
		"--home", filepath.Join(root, ".stack"), "serve", "--no-browser")
	l.cmd.Cancel = func() error { return l.cmd.Process.Signal(syscall.SIGTERM) }
	l.cmd.WaitDelay = ending
	l.cmd.Stderr = os.Stderr
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: run make build", err)
	}
	found := make(chan string, 1)
	go func() {
		defer close(l.said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at := pageAddress.FindString(lines.Text()); at != "" {
				l.address = at
			}
			if match := envFile.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case file := <-found:
		l.env, err = readEnv(file)
		return l, err
	case <-l.said:
		return nil, errors.Join(errors.New("the lab did not start"), l.cmd.Wait())
	case <-time.After(starting):
		return nil, errors.Join(errors.New("the lab takes too long to start"), l.end())
	}
}

// end interrupts the lab, which ends its servers, and wants it to end as one that was interrupted.
func (l *lab) end() error {
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	<-l.said
	var status *exec.ExitError
	if err := l.cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 130 {
		return fmt.Errorf("the lab ended with %w, not as one that was interrupted", err)
	}
	return nil
}

var export = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)

func readEnv(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, match := range export.FindAllStringSubmatch(string(text), -1) {
		env[match[1]] = match[2]
	}
	return env, nil
}

// audit runs payment-consumer audit as an operator does, beside the page.
func (l *lab) audit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(l.programs, "payment-consumer"), "audit")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PAYMENT_") { // of a shell that has sourced another stack
			cmd.Env = append(cmd.Env, variable)
		}
	}
	for name, value := range l.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("payment-consumer audit: %w: %s", err, out)
	}
	return nil
}

// listens says whether one of the lab's servers accepts connections.
func (l *lab) listens(server string) bool {
	variable := map[string]string{
		"redis": "PAYMENT_REDIS_ADDRESS", "mysql": "PAYMENT_MYSQL_ADDRESS",
		"broker": "PAYMENT_TEST_BROKER",
	}[server]
	conn, err := net.DialTimeout("tcp", l.env[variable], time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}
