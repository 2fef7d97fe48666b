package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/ops"
)

// Bounds of one question about a consumer's health.
const (
	healthTimeout = 3 * time.Second
	healthBytes   = 64 << 10
)

func (a *app) healthyCommand() *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "healthy",
		Short: "ask the consumer on this machine whether it is ready",
		Long: `Healthy asks the consumer that serves ops.address and prints one line. The exit
status is 0 if it is ready, and 1 if it is not or does not answer. It is for health checks in a
container whose image holds no shell and no other client. Do not restart a consumer that is not
ready: it may be waiting out an outage, which is right. With --live it only has to answer.`,
		Example: "  payment-consumer healthy\n  payment-consumer healthy --live",
		Args:    cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			line, err := askHealth(cmd.Context(), cfg.Ops.Address, live)
			if err != nil {
				return err
			}
			a.Printf("%s\n", line)
			return nil
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "only ask whether it answers at all")
	return cmd
}

// askHealth asks the consumer that listens on address, and says in a line what it answered. The
// error says why it is not ready, or not there.
func askHealth(ctx context.Context, address string, live bool) (string, error) {
	target, err := healthTarget(address)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if live {
		if _, err := get(ctx, "http://"+target+"/healthz", http.StatusOK); err != nil {
			return "", err
		}
		return "alive", nil
	}
	body, err := get(ctx, "http://"+target+"/readyz",
		http.StatusOK, http.StatusServiceUnavailable)
	if err != nil {
		return "", err
	}
	var report ops.Report
	if err := json.Unmarshal(body, &report); err != nil {
		return "", fmt.Errorf("%s does not answer like a payment-consumer: %w", target, err)
	}
	words := dependencies(report)
	// A consumer that does not know yet what it depends on is still starting.
	if !report.Ready || len(report.Dependencies) == 0 {
		return "", errors.New("not ready: " + words)
	}
	return "ready: " + words, nil
}

// healthTarget is where to reach, from this machine, a consumer that listens on address.
func healthTarget(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("ops.address: %w", err)
	}
	if port == "0" {
		return "", cli.Usagef("ops.address %s: the consumer takes a free port, and only its log "+
			"says which; give it a port of its own", address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost" // it listens everywhere, also here
	}
	return net.JoinHostPort(host, port), nil
}

// get reads one bounded answer. It never goes through a proxy, which the environment may name.
func get(ctx context.Context, url string, accepted ...int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("no answer from %s: %w (is the consumer running, and is "+
			"PAYMENT_OPS_ADDRESS the same for both?)", url, err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	for _, status := range accepted {
		if response.StatusCode == status {
			return io.ReadAll(io.LimitReader(response.Body, healthBytes))
		}
	}
	return nil, fmt.Errorf("%s answered %s", url, response.Status)
}

// dependencies puts the state of each dependency into one line.
func dependencies(report ops.Report) string {
	var words []string
	if report.Stopping {
		words = append(words, "it is stopping")
	}
	for _, d := range report.Dependencies {
		switch {
		case d.Up:
			words = append(words, d.Name+" is up")
		case d.Required:
			words = append(words, fmt.Sprintf("%s is down (%s)", d.Name, oneLine(d.Reason)))
		default:
			words = append(words, d.Name+" is down, which is allowed")
		}
	}
	return cmp.Or(strings.Join(words, ", "), "it is starting")
}

func oneLine(text string) string {
	return cmp.Or(strings.Join(strings.Fields(text), " "), "no reason given")
}
