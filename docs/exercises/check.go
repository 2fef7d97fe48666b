package exercises

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/payment/internal/idem"
)

// checkDeposit delivers deposits any number of times, in any order, and adds up.
func checkDeposit(a Answers) error {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
		account := &Account{Seen: make(map[string]bool)}
		var want int64
		var deliveries []int64
		for amount := range int64(1 + rng.IntN(5)) {
			want += amount + 1
			for range 1 + rng.IntN(3) {
				deliveries = append(deliveries, amount+1)
			}
		}
		rng.Shuffle(len(deliveries), func(i, j int) {
			deliveries[i], deliveries[j] = deliveries[j], deliveries[i]
		})
		for _, amount := range deliveries {
			a.Deposit(account, fmt.Sprint("DEPOSIT_", amount), amount)
		}
		if account.Balance != want {
			return fmt.Errorf("deposits of %v, where the same amount is the same deposit again, make %d, "+
				"want %d", deliveries, account.Balance, want)
		}
	}
	return nil
}

// checkSameMessageID knows the answers: what would compute them is make demo.
func checkSameMessageID(a Answers) error {
	return compare(a.SameMessageID(), map[Way]Reply{
		SendTime: Yes, ConsumeTime: Yes, Rebalance: Yes, Application: No,
	})
}

func checkFingerprint(a Answers) error {
	sent := Transfer{From: "ab", To: "c", Minor: 12, SentAt: time.Unix(1, 0), TraceID: "t1"}
	first, ok := a.Fingerprint(sent, 1)
	if !ok || first.Version != 1 {
		return fmt.Errorf("version 1 is not known, or not written down: %t, %d", ok, first.Version)
	}
	if _, ok := a.Fingerprint(sent, 2); ok {
		return fmt.Errorf("a version that this program does not know is computed all the same")
	}
	again := sent
	again.SentAt, again.TraceID = time.Unix(2, 0), "t2"
	if sum, _ := a.Fingerprint(again, 1); sum != first {
		return fmt.Errorf("an honest resend, which differs in time and trace only, is a conflict")
	}
	for _, other := range []Transfer{
		{From: "a", To: "bc", Minor: 12}, {From: "ab", To: "c1", Minor: 2},
		{From: "c", To: "ab", Minor: 12}, {From: "ab", To: "c", Minor: 13}, {From: "abc", Minor: 12},
	} {
		if sum, _ := a.Fingerprint(other, 1); sum == first || sum.Sum == ([32]byte{}) {
			return fmt.Errorf("%d from %q to %q has the digest of %d from %q to %q",
				other.Minor, other.From, other.To, sent.Minor, sent.From, sent.To)
		}
	}
	return nil
}

// checkAct tries every verdict, one that was never reached, and one that is yet to be invented.
func checkAct(a Answers) error {
	for v, want := range []Action{
		0:              {},
		idem.Decided:   {Answer: true, Acknowledge: true},
		idem.Duplicate: {Answer: true, Acknowledge: true},
		idem.Conflict:  {SetAside: true, Answer: true, Acknowledge: true},
		idem.Retry:     {},
		idem.Retry + 1: {},
	} {
		if got := a.Act(idem.Verdict(v)); got != want {
			return fmt.Errorf("verdict %d (1 decided, 2 duplicate, 3 conflict, 4 retry): not %+v", v, got)
		}
	}
	return nil
}

func checkMetrics(a Answers) error {
	list, err := metricNames()
	if err != nil {
		return err
	}
	answers := a.Metrics()
	for question, name := range answers {
		if !list[name] {
			return fmt.Errorf("%q: deploy/observe/metrics.txt has no %q", question, name)
		}
	}
	return compare(answers, map[Question]string{
		Repeats:   "payment_decisions_total",
		Late:      "payment_message_age_seconds_bucket",
		Amortised: "payment_commit_batch_size_sum",
		CacheAway: "payment_cache_breaker_open",
		Aside:     "payment_quarantine_messages",
	})
}

// metricNames reads the list as go test starts: in the folder of the package.
func metricNames() (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "observe", "metrics.txt"))
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			names[words[0]] = true
		}
	}
	return names, nil
}

// compare holds predictions against what is so. It does not say what that is.
func compare[K ~string, V comparable](predicted, is map[K]V) error {
	right := 0
	var wrong []string
	for question, want := range is {
		switch got, answered := predicted[question]; {
		case !answered:
			wrong = append(wrong, fmt.Sprintf("%s: no answer", question))
		case got != want:
			wrong = append(wrong, fmt.Sprintf("%s: not %v", question, got))
		default:
			right++
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d are right\n  %s", right, len(is), strings.Join(wrong, "\n  "))
	}
	return nil
}
