package exercises_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"example.com/payment/docs/exercises"
	"example.com/payment/docs/exercises/solution"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// TestSolutions wants every exercise to be possible.
func TestSolutions(t *testing.T) {
	t.Parallel()
	for _, e := range exercises.All() {
		if err := e.Check(solution.All()); err != nil {
			t.Errorf("the solution of exercise %d, %s:\n  %v", e.Number, e.Title, err)
		}
	}
}

// TestUnsolved wants every exercise to be one.
func TestUnsolved(t *testing.T) {
	t.Parallel()
	for _, e := range exercises.All() {
		err := e.Check(exercises.Mine())
		if err == nil {
			t.Errorf("exercise %d is solved: git restore docs/exercises/answers.go", e.Number)
			continue
		}
		t.Logf("exercise %d, %s: %v", e.Number, e.Title, err)
	}
}

// TestMistakes wants what looks right, and is not, to be found wrong.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, mistake := range map[string]struct {
		number int
		make   func(*exercises.Answers)
	}{
		"LastTokenOnly": {1, func(a *exercises.Answers) {
			a.Deposit = func(account *exercises.Account, token string, amount int64) {
				if !account.Seen[token] {
					account.Balance += amount
				}
				clear(account.Seen)
				account.Seen[token] = true
			}
		}},
		"FieldsRunTogether": {3, func(a *exercises.Answers) {
			a.Fingerprint = func(t exercises.Transfer, version int) (idem.Fingerprint, bool) {
				sum := sha256.Sum256([]byte(t.From + t.To + fmt.Sprint(t.Minor)))
				return idem.Fingerprint{Version: version, Sum: sum}, version == 1
			}
		}},
		"NoStepTwo": {4, func(a *exercises.Answers) {
			whole := a.Process
			a.Process = func(
				ctx context.Context, s exercises.Steps, req exercises.Request,
			) (string, error) {
				s.Store = blind{s.Store}
				return whole(ctx, s, req)
			}
		}},
		"OrderID": {6, func(a *exercises.Answers) {
			a.Token = func(m payment.Message, _ order.Order) idem.Key { return idem.Key(m.Key) }
		}},
		"ZeroAcknowledges": {8, func(a *exercises.Answers) {
			whole := a.Act
			a.Act = func(v idem.Verdict) exercises.Action {
				if v == 0 {
					v = idem.Decided
				}
				return whole(v)
			}
		}},
	} {
		answers := solution.All()
		mistake.make(&answers)
		if err := exercises.All()[mistake.number-1].Check(answers); err == nil {
			t.Errorf("%s passes exercise %d", name, mistake.number)
		}
	}
}

// blind is a store whose step 2 finds nothing.
type blind struct{ idem.Store[string, string] }

func (blind) Find(context.Context, []idem.Key) (map[idem.Key]exercises.Record, error) {
	return map[idem.Key]exercises.Record{}, nil
}

// TestGuideHasAll wants every exercise in the guide, under its number.
func TestGuideHasAll(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../guide.md", "../guide.zh-CN.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range exercises.All() {
			if command := "make exercise N=" + strconv.Itoa(e.Number); !strings.Contains(
				string(text), "`"+command+"`") {
				t.Errorf("%s does not say %q", name, command)
			}
		}
	}
}
