package coupon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

//go:embed schema.sql
var schema string

// setting reads a variable that says where a server is. Without it the test is skipped, or fails
// when the run says that there must be servers.
func setting(t *testing.T, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatalf("%s is not set and PAYMENT_TEST_REQUIRE is 1", variable)
		}
		t.Skipf("needs real servers: set %s, or run make test", variable)
	}
	return value
}

// newStore makes a store on a database of its own, in which SPRING has so many coupons.
func newStore(t *testing.T, total int) *Store {
	t.Helper()
	cfg, err := mysql.ParseDSN(setting(t, "PAYMENT_TEST_MYSQL_ROOT"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.MultiStatements = true
	root := open(t, cfg)
	cfg.DBName = "test_" + strings.ToLower(rand.Text()[:12])
	execute(t, root, "CREATE DATABASE "+cfg.DBName)
	t.Cleanup(func() { execute(t, root, "DROP DATABASE "+cfg.DBName) })
	execute(t, open(t, cfg), schema)
	cfg.MultiStatements = false
	store := NewStore(open(t, cfg))
	execute(t, store.db, "INSERT INTO coupon_campaigns (campaign, total) VALUES ('SPRING', ?)", total)
	return store
}

func open(t *testing.T, cfg *mysql.Config) *gorm.DB {
	t.Helper()
	db, err := Open(cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return db
}

// execute has a context of its own, because cleaning up happens after the test's has ended.
func execute(t *testing.T, db *gorm.DB, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := db.WithContext(ctx).Exec(statement, args...).Error; err != nil {
		t.Fatalf("%.60s: %v", statement, err)
	}
}

func count(t *testing.T, s *Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.db.WithContext(t.Context()).Raw(query, args...).Scan(&n).Error; err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// TestStore runs the suite that says what the guard relies on.
func TestStore(t *testing.T) {
	t.Parallel()
	idemtest.TestStore(t, idemtest.StoreHarness[Claim, Answer]{
		Open: func(t *testing.T) idem.Store[Claim, Answer] { return newStore(t, 10_000) },
		Request: func(key idem.Key, content int) Request {
			return claim(string(key), fmt.Sprintf("%x-%d", sha256.Sum256([]byte(key)), content)[40:])
		},
		Effects: func(t *testing.T, s idem.Store[Claim, Answer], key idem.Key) int {
			return count(t, s.(*Store), "SELECT COUNT(*) FROM coupons WHERE request_id = ?", key)
		},
		Bad: func(key idem.Key) Request { return claim(string(key), strings.Repeat("x", 65)) },
	})
}

// Sixty users, each under two request IDs, through two consumers, for twenty coupons.
func TestStore_LastCoupons(t *testing.T) {
	t.Parallel()
	const users, total = 60, 20
	store := newStore(t, total)
	var guards [2]*idem.Guard[Claim, Answer]
	for i := range guards {
		guards[i] = idem.New(store, idemtest.NewCache[Answer](), idem.Options{BatchMax: 16})
		defer guards[i].Close()
	}
	var group sync.WaitGroup
	var answers [2 * users]Answer
	for i := range answers {
		group.Go(func() {
			req := claim(fmt.Sprint("R", i), fmt.Sprint("u", i%users))
			d := guards[i%2].Process(t.Context(), req)
			// As a consumer does: on a machine that stands still a lock or an answer takes too long.
			for range 10 {
				if d.Verdict == idem.Retry {
					d = guards[i%2].Process(t.Context(), req)
				}
			}
			if d.Verdict == idem.Retry {
				t.Errorf("%s: %v", req.Key, d.Err)
			}
			answers[i] = d.Record.Answer
		})
	}
	group.Wait()
	holders, coupons := make(map[string]int), make(map[string]int)
	for i := range users {
		a, b := answers[i], answers[i+users]
		if a.Coupon != "" && b.Coupon != "" && a.Coupon != b.Coupon {
			t.Errorf("u%d has %s and %s", i, a.Coupon, b.Coupon)
		}
		for _, answer := range []Answer{a, b} {
			if answer.Coupon != "" && answer.First == "" {
				coupons[answer.Coupon]++
				holders[fmt.Sprint("u", i)]++
			}
		}
	}
	if len(coupons) != total || len(holders) != total {
		t.Errorf("%d coupons for %d users, want %d each", len(coupons), len(holders), total)
	}
	for coupon, n := range coupons {
		if n != 1 {
			t.Errorf("%s was issued %d times", coupon, n)
		}
	}
	if n := count(t, store, "SELECT issued FROM coupon_campaigns"); n != total {
		t.Errorf("the campaign says %d", n)
	}
	if n := count(t, store, "SELECT COUNT(*) FROM coupon_requests"); n != 2*users {
		t.Errorf("%d requests are decided, want %d", n, 2*users)
	}
}

// A second request of a user, a campaign that is not there and one that is sold out are decided
// once, and what Commit answers is what Find returns.
func TestStore_EveryAnswer(t *testing.T) {
	t.Parallel()
	store := newStore(t, 1)
	unknown := NewRequest(Claim{RequestID: "R4", Campaign: "spring", User: "ada"})
	for _, c := range []struct {
		req     Request
		verdict idem.Verdict
		want    Answer
	}{
		{claim("R1", "ada"), idem.Decided, Answer{Coupon: "SPRING-1"}},
		{claim("R2", "ada"), idem.Duplicate, Answer{Coupon: "SPRING-1", First: "R1"}},
		{claim("R3", "grace"), idem.Decided, Answer{Refused: SoldOut}},
		{unknown, idem.Decided, Answer{Refused: UnknownCampaign}},
	} {
		answers, err := store.Commit(t.Context(), []Request{c.req})
		if err != nil {
			t.Fatalf("%s: %v", c.req.Key, err)
		}
		if a := answers[0]; a.Verdict != c.verdict || a.Record.Answer != c.want {
			t.Errorf("%s: verdict %d, %+v, want %d, %+v", c.req.Key, a.Verdict, a.Record.Answer,
				c.verdict, c.want)
		}
		found, err := store.Find(t.Context(), []idem.Key{c.req.Key})
		if diff := cmp.Diff(answers[0].Record, found[c.req.Key]); err != nil || diff != "" {
			t.Errorf("%s: Find: %v, differs from Commit:\n%s", c.req.Key, err, diff)
		}
	}
	execute(t, store.db, "UPDATE coupon_campaigns SET total = 5")
	if _, err := store.Commit(t.Context(), []Request{claim("R3", "grace")}); err == nil {
		t.Error("a refused request was decided again")
	}
}

// Without a server the guard is told to wait for it, and the cache is left alone.
func TestStore_NoServer(t *testing.T) {
	t.Parallel()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.DBName = "tcp", "127.0.0.1:1", "none"
	store := NewStore(open(t, cfg))
	_, found := store.Find(t.Context(), []idem.Key{"R1"})
	_, committed := store.Commit(t.Context(), []Request{claim("R1", "ada")})
	for _, err := range []error{found, committed} {
		if !strings.Contains(fmt.Sprint(err), idem.ErrUnavailable.Error()) {
			t.Errorf("%v is not an outage", err)
		}
	}
	if epoch, ok := store.Epoch(); ok {
		t.Errorf("the epoch is %q", epoch)
	}
}
