package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/devstack"
	page "example.com/payment/internal/lab"
	"example.com/payment/internal/lab/stage"
)

// visit is a run of the lab's page.
type visit struct {
	*lab
	port            int
	noBrowser, keep bool
}

func (l *lab) serve() *cobra.Command {
	v := visit{lab: l}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "See idempotence happen, on a page in the browser",
		Long: `Starts a stack of its own and two payment-consumer processes, and serves a page on a
loopback port that shows each message's way as it happens, and lets you break things: lose an
answer, kill a consumer, stop a server, or switch on one of the wrong orders of writes that
tutorials teach. An audit runs all the while. The page opens by itself where there is a browser;
its address, which is printed, holds a token and is for you alone. Ctrl-C ends everything.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd.Context()) },
	}
	cmd.Flags().IntVar(&v.port, "port", 0, "loopback `PORT` of the page; a free one by default")
	cmd.Flags().BoolVar(&v.noBrowser, "no-browser", false, "only print the address")
	cmd.Flags().BoolVar(&v.keep, "keep", false, "leave the stack's folder, with all data and logs")
	return cmd
}

func (v visit) run(ctx context.Context) (err error) {
	opts, err := v.options()
	if err != nil {
		return err
	}
	opts.ProxyHost, opts.KeepData, opts.Broker = proxyHost, v.keep, stage.BrokerSettings()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := stage.CheckPrograms(filepath.Dir(self)); err != nil {
		return err
	}
	// Before the servers, which take seconds: a port that is taken is told at once.
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", v.port))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the server has closed it, unless it never began
	if err := missing(devstack.Doctor(ctx, opts)); err != nil {
		return err
	}
	fmt.Fprintln(v.out, "starting RocketMQ, the database and Redis")
	stack, err := devstack.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close(stack)) }()
	if err := stack.WriteEnv(envOf(stack)); err != nil {
		return err
	}
	fmt.Fprintln(v.out, "starting two consumers")
	return v.show(ctx, listener, stage.Config{
		Stack: stack, Programs: filepath.Dir(self), Self: self, Prepare: prepare,
		State: page.NewState(time.Now),
	})
}

// envOf is the file with the variables that let payment-consumer, in a terminal, reach the servers.
func envOf(stack *devstack.Stack) string { return filepath.Join(stack.Data(), "env") }

// show serves the page until ctx ends.
func (v visit) show(ctx context.Context, listener net.Listener, cfg stage.Config) (err error) {
	played, err := stage.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, played.Close()) }()
	token := page.NewToken()
	server, err := page.NewServer(page.Config{State: cfg.State, Stage: played, Token: token})
	if err != nil {
		return err
	}
	defer server.Close()
	address := fmt.Sprintf("http://%s/?token=%s", listener.Addr(), token)
	fmt.Fprintf(v.out, `
  the page     %s
  data, logs   %s
  a terminal   . %s    then: build/payment-consumer audit

Ctrl-C ends everything.
`, address, cfg.Stack.Data(), envOf(cfg.Stack))
	if !v.noBrowser {
		defer openBrowser(ctx, address)()
	}
	return server.Serve(ctx, listener)
}

// openBrowser opens an address where there is a screen, and returns what waits for the program that
// does it. That it fails is no failure of the lab's, whose address is printed.
func openBrowser(ctx context.Context, address string) (wait func()) {
	program := ""
	switch {
	case runtime.GOOS == "darwin":
		program = "open"
	case os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "":
		program = "xdg-open"
	}
	if program == "" {
		return func() {}
	}
	cmd := exec.CommandContext(ctx, program, address)
	if err := cmd.Start(); err != nil {
		return func() {}
	}
	return func() { _ = cmd.Wait() } // it ends at the latest with ctx
}
