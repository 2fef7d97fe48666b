package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/patched"
)

// answer is what the test looks at in a result.
type answer struct {
	MessageID string `json:"message_id"`
	Outcome   string `json:"outcome"`
}

// nextVersion builds the service as a later release might be.
func nextVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/next-version.patch")
	if err != nil {
		t.Fatal(err)
	}
	_, patch, _ := strings.Cut(string(text), "\n\n")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "payment-consumer")
	if err := patched.Build(t.Context(), root, folder, patch, "-o", path,
		"./cmd/payment-consumer"); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConsume_RollingUpgrade replaces two consumers by the next version, one after the other, while
// repeated orders come in. In between each version meets what the other has paid, under
// fingerprints that one of them does not know.
func TestConsume_RollingUpgrade(t *testing.T) {
	requireStack(t)
	db := database(t)
	next := nextVersion(t)
	first, second := startConsumer(t), startConsumer(t)
	awaitMore := func(n int64) {
		t.Helper()
		have := decisions(t, db)
		await(t, "more decisions", func() bool { return decisions(t, db) >= have+n })
	}
	journal := filepath.Join(t.TempDir(), "journal.jsonl")
	load := startLoad(t, "--orders", "1000000", "--repeat", "30%", "--seed", "11",
		"--rate", "300", "--journal", journal)
	awaitMore(300)
	if status := first.stop(t); status != 0 {
		t.Errorf("the first of the old version: exit status %d", status)
	}
	startConsumerAt(t, next)
	awaitMore(600)
	if status := second.stop(t); status != 0 {
		t.Errorf("the second of the old version: exit status %d", status)
	}
	startConsumerAt(t, next)
	awaitMore(300)
	load.interrupt(t)

	sent := readJournal(t, journal)
	answers := map[string][]answer{} // by message
	group := "upgrade-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	await(t, "an answer to every message", func() bool {
		for line := range strings.Lines(mustRun(t, "order-producer", "results", "-o", "jsonl",
			"--group", group)) {
			var a answer
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatal(err)
			}
			answers[a.MessageID] = append(answers[a.MessageID], a)
		}
		return !slices.ContainsFunc(sent, func(m message) bool { return answers[m.MessageID] == nil })
	})
	payer := map[string]string{} // by serial number: the message that was answered with paid
	for _, m := range sent {
		for _, a := range answers[m.MessageID] {
			switch a.Outcome {
			case "conflict":
				t.Errorf("%s is called a conflict", m.Serial)
			case "paid":
				if first := payer[m.Serial]; first != "" && first != m.MessageID {
					t.Errorf("%s is paid by message %s and by %s", m.Serial, first, m.MessageID)
				}
				payer[m.Serial] = m.MessageID
			}
		}
	}
	valid, _, _ := sortJournal(sent)
	versions := map[int]int{}
	for _, record := range decided(t, db, valid) {
		versions[record.Fingerprint.Version]++
	}
	if versions[1] == 0 || versions[2] == 0 {
		t.Errorf("payments by the version of their fingerprint: %v, want some of each", versions)
	}
	audit(t)
}
