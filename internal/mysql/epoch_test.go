package mysql

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// aged makes the last reading of the epoch so old, however long ago it was: between a reading and a
// look at it a machine may stand still for longer than the lease. It returns when it was read.
func (db *DB) aged(t *testing.T, age time.Duration) time.Time {
	t.Helper()
	reading := db.epoch.Load()
	if reading == nil {
		t.Fatal("the epoch was never read")
	}
	aged := *reading
	aged.at = time.Now().Add(-age)
	db.epoch.Store(&aged)
	return reading.at
}

func TestEpoch_ReadOnConnect(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	db := f.open(t)
	if epoch, ok := db.Epoch(); ok {
		t.Errorf("epoch %q before the first connection", epoch)
	}
	start := time.Now()
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := db.aged(t, 0); at.Before(start) {
		t.Errorf("the epoch was read %v before the first connection", start.Sub(at))
	}
	if epoch, ok := db.Epoch(); !ok || len(epoch) != 32 {
		t.Errorf("epoch %q, %t after the first connection", epoch, ok)
	}
}

// A replaced epoch is seen by a process whose connections all live on, and by new connections.
func TestEpoch_Replace(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	old, fresh := f.open(t), f.open(t)
	if err := old.RefreshEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := old.Epoch()
	if _, err := old.ReplaceEpoch(t.Context()); !errors.Is(err, ErrRefused) {
		t.Errorf("ReplaceEpoch as the application's user: %v, want it refused", err)
	}
	owner, err := Open(f.rootOf(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close() })
	replaced, err := owner.ReplaceEpoch(t.Context())
	if err != nil || replaced == before {
		t.Fatalf("ReplaceEpoch: %q, %v", replaced, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { old.WatchEpoch(ctx) })
	eventually(t, "the new epoch in an old process", func() bool {
		epoch, ok := old.Epoch()
		return ok && epoch == replaced
	})
	cancel()
	watching.Wait()
	if err := fresh.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh.aged(t, 0)
	if epoch, ok := fresh.Epoch(); !ok || epoch != replaced {
		t.Errorf("a new connection read %q, %t, want %q", epoch, ok, replaced)
	}
	f.exec(t, "DELETE FROM ledger_epoch")
	if _, err := owner.ReplaceEpoch(t.Context()); err == nil {
		t.Error("ReplaceEpoch without a row: no error")
	}
}

// While the database is away the reading grows old, and then nobody vouches for the cache.
func TestEpoch_LeaseEnds(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	w, by := through(t, f.cfg.Address)
	db := f.open(t, by)
	if err := db.RefreshEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.aged(t, 0)
	if _, ok := db.Epoch(); !ok {
		t.Fatal("no epoch right after it was read")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.RefreshEpoch(t.Context()); err == nil {
		t.Fatal("RefreshEpoch of a database that is away: no error")
	}
	db.aged(t, 0)
	if _, ok := db.Epoch(); !ok {
		t.Error("the epoch is unknown although its lease has not ended")
	}
	db.aged(t, epochLease+time.Millisecond)
	if epoch, ok := db.Epoch(); ok {
		t.Errorf("epoch %q after the end of its lease", epoch)
	}
}

// An answer that comes late does not replace one that was asked for after it.
func TestEpoch_LateAnswer(t *testing.T) {
	t.Parallel()
	var db DB
	now := time.Now()
	db.learned(epochReading{epoch: "new", at: now})
	db.learned(epochReading{epoch: "old", at: now.Add(-time.Second)})
	if epoch, ok := db.Epoch(); !ok || epoch != "new" {
		t.Errorf("epoch %q, %t, want the newer one", epoch, ok)
	}
	db.learned(epochReading{at: now.Add(time.Millisecond)})
	if epoch, ok := db.Epoch(); ok {
		t.Errorf("epoch %q although the table is gone", epoch)
	}
}

func TestEpoch_NoTable(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.exec(t, "DROP TABLE ledger_epoch")
	db := f.open(t)
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if epoch, ok := db.Epoch(); ok {
		t.Errorf("epoch %q without its table", epoch)
	}
}
