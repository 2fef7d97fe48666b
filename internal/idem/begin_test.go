package idem_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// mark is what Begin puts into the context of a batch, caller what a test puts into a call's.
type (
	mark   struct{}
	caller struct{}
)

// marked is a store that notes whether it got the context of a batch.
type marked struct {
	*store
	mu    sync.Mutex
	steps []string
}

func (m *marked) note(ctx context.Context, step string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Value(mark{}) == nil {
		step += " outside"
	}
	m.steps = append(m.steps, step)
}

// Find notes step 2.
func (m *marked) Find(
	ctx context.Context, keys []idem.Key,
) (map[idem.Key]record, error) {
	m.note(ctx, "find")
	return m.store.Find(ctx, keys)
}

// Commit notes step 3.
func (m *marked) Commit(
	ctx context.Context, reqs []request,
) ([]idem.Answer[string], error) {
	m.note(ctx, "commit")
	return m.store.Commit(ctx, reqs)
}

// Begin is told of the caller, the steps get its context, and its end comes after them with the
// same report that Observe gets.
func TestGuard_Begin(t *testing.T) {
	t.Parallel()
	m := &marked{store: idemtest.NewStore(idemtest.Echo[string])}
	var reports []idem.Batch
	guard := idem.New(m, idemtest.NewCache[string](), idem.Options{
		Committers: 1,
		Observe:    func(b idem.Batch) { reports = append(reports, b) },
		Begin: func(
			ctx context.Context, callers []context.Context,
		) (context.Context, func(idem.Batch)) {
			for _, c := range callers {
				m.note(ctx, "begin for "+c.Value(caller{}).(string))
			}
			return context.WithValue(ctx, mark{}, true), func(b idem.Batch) {
				m.note(context.WithValue(ctx, mark{}, true), "end")
				reports = append(reports, b)
			}
		},
	})
	ctx := context.WithValue(t.Context(), caller{}, "me")
	decided := guard.Process(ctx, idemtest.Request("k", "red"))
	guard.Close()
	if decided.Verdict != idem.Decided {
		t.Errorf("%+v", decided)
	}
	want := []string{"begin for me outside", "find", "commit", "end"}
	if diff := cmp.Diff(want, m.steps); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(reports) != 2 || cmp.Diff(reports[0], reports[1]) != "" || reports[0].Size != 1 {
		t.Errorf("reports %+v", reports)
	}
}
