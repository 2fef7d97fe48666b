package bench

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"example.com/payment/internal/bench/probe"
	"example.com/payment/internal/devstack"
	"example.com/payment/internal/patched"
)

//go:embed patches/*.patch
var patches embed.FS

// consumer is the program that is measured.
const consumer = "./cmd/payment-consumer"

// probed is the service as it is, which notes its commits.
const probed Variant = "probe"

// patchOf is what a variant changes in the service.
func patchOf(v Variant) (string, error) {
	names := map[Variant]string{
		VariantService: "", VariantTraced: "", VariantNoResults: "no-results",
		VariantUnsafe: "unsafe", VariantUnobserved: "unobserved", probed: "probe",
	}
	if names[v] == "" {
		return "", nil
	}
	text, err := patches.ReadFile("patches/" + names[v] + ".patch")
	_, patch, _ := strings.Cut(string(text), "\n\n")
	return patch, err
}

// programs are where the variants are, and the arguments that they are started with.
type programs map[Variant][]string

// build makes the variants of the service from the sources below root. The others are commands of
// the program self.
func build(ctx context.Context, root, folder, self string) (programs, error) {
	all := programs{
		VariantDrop:     {self, "bench-drop"},
		VariantTextbook: {self, "exhibit", "--bench", "right"},
	}
	var group errgroup.Group
	for _, v := range []Variant{
		VariantService, VariantTraced, VariantNoResults, VariantUnsafe, VariantUnobserved, probed,
	} {
		own := filepath.Join(folder, string(v))
		all[v] = []string{filepath.Join(own, "payment-consumer")}
		group.Go(func() error {
			patch, err := patchOf(v)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(own, 0o755); err != nil {
				return err
			}
			err = patched.Build(ctx, root, own, patch, "-o", filepath.Join(own, "payment-consumer"),
				consumer)
			if err != nil {
				return fmt.Errorf("variant %s: %w", v, err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

// subject is a consumer that runs.
type subject struct{ *devstack.Process }

// scene is where a subject works.
type scene struct {
	topic, database, cachePrefix string
	group                        string // one of its own, if empty
	probe                        string // a file for its notes, or empty
}

// launch starts a consumer, of a group that never was if the scene names none, and does not wait
// for it.
func (r *rig) launch(v Variant, at scene) (*subject, error) {
	r.launched++
	log := filepath.Join(r.folder, fmt.Sprintf("consumer-%03d-%s.log", r.launched, v))
	_ = os.Remove(log) // an earlier run's
	env := []string{
		"PAYMENT_OPS_ADDRESS=127.0.0.1:0",
		"PAYMENT_ROCKETMQ_TOPIC=" + at.topic,
		"PAYMENT_ROCKETMQ_GROUP=" + cmp.Or(at.group, fmt.Sprintf("bench-%d", r.launched)),
		"PAYMENT_MYSQL_DATABASE=" + at.database,
		"PAYMENT_REDIS_KEY_PREFIX=" + at.cachePrefix,
		probe.Variable + "=" + at.probe,
	}
	if v == VariantTraced {
		env = append(env, "PAYMENT_TRACING_ENDPOINT=http://"+r.collector.Addr())
	}
	command := r.programs[v]
	process, err := r.stack.Run(command[0], log, command[1:], env...)
	if err != nil {
		return nil, err
	}
	return &subject{process}, nil
}

// decisionsMetric counts messages by their outcome.
const decisionsMetric = "payment_decisions_total"

// counts are the messages that were handled, by outcome.
type counts map[string]int

func (c counts) total() int {
	sum := 0
	for _, n := range c {
		sum += n
	}
	return sum
}

func (s *subject) counts(ctx context.Context) (counts, error) {
	text, _, err := s.Page(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	return parseCounts(text), nil
}

func parseCounts(metrics string) counts {
	found := counts{}
	for line := range strings.Lines(metrics) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		labels, ok := strings.CutPrefix(sample, decisionsMetric+"{")
		if !ok {
			continue
		}
		_, rest, _ := strings.Cut(labels, `outcome="`)
		outcome, _, _ := strings.Cut(rest, `"`)
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			found[outcome] += int(number)
		}
	}
	return found
}

// crew is one or more consumers of one group.
type crew []*subject

// alive is an error when one of them has ended.
func (c crew) alive() error {
	for _, s := range c {
		if !s.Alive() {
			return fmt.Errorf("the consumer ended: %s", s.LastLine())
		}
	}
	return nil
}

// counts are the counts of all of them.
func (c crew) counts(ctx context.Context) (counts, error) {
	all := counts{}
	for _, s := range c {
		found, err := s.counts(ctx)
		if err != nil {
			return nil, err
		}
		for outcome, n := range found {
			all[outcome] += n
		}
	}
	return all, nil
}

// kill ends all of them.
func (c crew) kill() error {
	var problems []error
	for _, one := range c {
		problems = append(problems, one.Kill())
	}
	return errors.Join(problems...)
}
