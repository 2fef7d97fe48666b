package security_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/devstack"
	"example.com/payment/internal/rocketmq"
)

// patience bounds what happens as soon as it can.
const patience = 3 * time.Minute

// identity is what one consumer shows to its servers.
type identity struct{ name, secret, redisSecret, cacheKeys string }

func newIdentity(name, cacheKeys string) identity {
	secret := rand.Text()
	return identity{name: name, secret: secret, redisSecret: secret, cacheKeys: cacheKeys}
}

// env are the settings that make a consumer show the identity.
func (i identity) env() []string {
	return []string{
		"PAYMENT_ROCKETMQ_ACCESS_KEY=" + i.name, "PAYMENT_ROCKETMQ_SECRET_KEY=" + i.secret,
		"PAYMENT_MYSQL_USER=" + i.name, "PAYMENT_MYSQL_PASSWORD=" + i.secret,
		"PAYMENT_REDIS_USER=payment", "PAYMENT_REDIS_PASSWORD=" + i.redisSecret,
		"PAYMENT_CACHE_KEYS=" + i.cacheKeys, "PAYMENT_OPS_ADDRESS=127.0.0.1:0",
	}
}

// rotation is two consumers at work, and the programs that are needed for it.
type rotation struct {
	*testing.T
	stack    *devstack.Stack
	folder   string
	launched int
}

// testRotation replaces every secret while orders come in: two consumers are restarted one after
// the other with a new user of database and broker, the new password of Redis and a new cache
// key, and then the old ones are taken away.
func testRotation(t *testing.T, stack *devstack.Stack) {
	r := &rotation{T: t, stack: stack, folder: t.TempDir()}
	r.build()
	oldKey, newKey := "k1:"+randomKey(), "k2:"+randomKey()
	// A value is signed with a key that all consumers know: the new one was made known before.
	before := newIdentity("payment-old", oldKey+","+newKey)
	after := newIdentity("payment-new", newKey+","+oldKey)
	r.admit(before)
	r.openAccounts()
	first, second := r.start(before), r.start(before)
	journal := filepath.Join(r.folder, "journal.jsonl")
	load := r.load(journal)
	r.awaitPayments(200)

	r.admit(after)
	r.stop(first)
	r.start(after)
	r.stop(second)
	r.start(after)
	r.dismiss(before)

	r.awaitPayments(r.payments() + 200)
	r.stopLoad(load)
	r.awaitSerials(journal)
	r.audit(after, "")
	// Each of the old secrets is worth nothing any more.
	r.audit(before, "check the user and the password")
	err := send(t, stack, before.name, before.secret, devstack.ResultTopic)
	if !errors.Is(err, rocketmq.ErrRefused) {
		t.Errorf("the old user of the broker sends a result: %v, want it refused", err)
	}
	after.redisSecret = before.secret
	r.audit(after, "the password is wrong")
}

func randomKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return hex.EncodeToString(key)
}

func (r *rotation) build() {
	r.Helper()
	out, err := exec.CommandContext(r.Context(), "go", "build", "-o", r.folder+"/",
		"../../cmd/payment-consumer", "../../cmd/order-producer").CombinedOutput()
	if err != nil {
		r.Fatalf("go build: %v\n%s", err, out)
	}
}

// admit makes an identity known to database, broker and Redis, as SECURITY.md says.
func (r *rotation) admit(i identity) {
	r.Helper()
	r.query("CREATE USER '" + i.name + "'@'%' IDENTIFIED BY '" + i.secret + "'")
	if out, err := r.run("payment-consumer", []string{"migrate"},
		"PAYMENT_MIGRATE_APP_USER="+i.name); err != nil {
		r.Fatalf("migrate: %v\n%s", err, out)
	}
	rights, err := os.ReadFile("../../deploy/redis-rights.txt")
	if err != nil {
		r.Fatal(err)
	}
	r.redis(append([]string{"ACL", "SETUSER", "payment", "on", ">" + i.secret},
		strings.Fields(string(rights))...)...)
	granted := consumerRights()
	maps.Copy(granted, map[string]string{ // and the reader of dead letters, a group of its own
		"Topic:%DLQ%" + devstack.ConsumerGroup:            "Sub",
		"Topic:%RETRY%" + devstack.ConsumerGroup + "-dlq": "Pub,Sub",
		"Group:" + devstack.ConsumerGroup + "-dlq":        "Sub,Get",
	})
	allow(r.T, r.stack.Address(devstack.Broker), i.name, i.secret, granted)
}

// openAccounts opens those of the generated orders.
func (r *rotation) openAccounts() {
	r.Helper()
	for prefix, opening := range map[string]string{"user-": "1000000.00", "shop-": "0.00"} {
		args := []string{"accounts", "open", "--currency", "CNY", "--opening", opening}
		for n := range 100 {
			args = append(args, prefix+strconv.Itoa(n+1))
		}
		if out, err := r.run("payment-consumer", args); err != nil {
			r.Fatalf("accounts: %v\n%s", err, out)
		}
	}
}

// dismiss makes an identity worthless.
func (r *rotation) dismiss(i identity) {
	r.Helper()
	r.query("DROP USER '" + i.name + "'@'%'")
	r.redis("ACL", "SETUSER", "payment", "<"+i.secret)
	administer(r.T, r.stack.Address(devstack.Broker), codeDeleteUser,
		map[string]string{"username": i.name}, nil)
}

func (r *rotation) query(sql string) string {
	r.Helper()
	answer, err := r.stack.Query(r.Context(), sql)
	if err != nil {
		r.Fatal(err)
	}
	return answer
}

func (r *rotation) redis(words ...string) {
	r.Helper()
	if _, err := r.stack.CacheCommand(r.Context(), words...); err != nil {
		r.Fatal(err)
	}
}

// run runs a program to its end.
func (r *rotation) run(program string, args []string, env ...string) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.folder, program), args...)
	cmd.Env = r.stack.Environ(env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// start starts a consumer and waits until it is ready.
func (r *rotation) start(i identity) *devstack.Process {
	r.Helper()
	r.launched++
	log := filepath.Join(r.folder, "consumer-"+strconv.Itoa(r.launched)+".log")
	process, err := r.stack.Run(filepath.Join(r.folder, "payment-consumer"), log, nil, i.env()...)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = process.Kill() })
	r.await("a consumer to be ready", func() bool {
		if !process.Alive() {
			r.Fatalf("the consumer ended by itself: %s", process.LastLine())
		}
		_, status, err := process.Get(r.Context(), "/readyz")
		return err == nil && status == http.StatusOK
	})
	return process
}

func (r *rotation) stop(p *devstack.Process) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		r.Fatal(err)
	}
}

// load sends orders until it is ended.
func (r *rotation) load(journal string) *devstack.Process {
	r.Helper()
	load, err := r.stack.Run(filepath.Join(r.folder, "order-producer"),
		filepath.Join(r.folder, "load.log"),
		[]string{"load", "--orders", "1000000", "--rate", "200", "--journal", journal},
		"PAYMENT_ROCKETMQ_ACCESS_KEY="+producerUser, "PAYMENT_ROCKETMQ_SECRET_KEY="+producerSecret)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = load.Kill() })
	return load
}

func (r *rotation) payments() int {
	r.Helper()
	n, err := strconv.Atoi(r.query("SELECT COUNT(*) FROM payments WHERE status = 'paid'"))
	if err != nil {
		r.Fatal(err)
	}
	return n
}

func (r *rotation) await(what string, holds func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func (r *rotation) awaitPayments(n int) {
	r.Helper()
	r.await(strconv.Itoa(n)+" payments", func() bool { return r.payments() >= n })
}

// stopLoad ends the load, which waits for what is under way.
func (r *rotation) stopLoad(load *devstack.Process) {
	r.Helper()
	if !load.Alive() {
		r.Fatalf("the load ended by itself: %s", load.LastLine())
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var ended *exec.ExitError
	if err := load.Stop(ctx); !errors.As(err, &ended) || ended.ExitCode() != cli.ExitSignaled {
		r.Fatalf("the load ended with %v: %s", err, load.LastLine())
	}
}

// awaitSerials waits until every order that the broker took is decided.
func (r *rotation) awaitSerials(journal string) {
	r.Helper()
	text, err := os.ReadFile(journal)
	if err != nil {
		r.Fatal(err)
	}
	sent := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var entry struct {
			Serial string `json:"serial_no"`
			Status string `json:"status"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			r.Fatal(err)
		}
		if entry.Status == "acknowledged" {
			sent[entry.Serial] = true
		}
	}
	r.await("every order to be decided", func() bool {
		left := maps.Clone(sent)
		for serial := range strings.Lines(r.query("SELECT serial_no FROM payments")) {
			delete(left, strings.TrimSpace(serial))
		}
		return len(sent) > 0 && len(left) == 0
	})
}

// audit runs the audit as i: it must be in order, or, with a complaint, fail with it.
func (r *rotation) audit(i identity, complaint string) {
	r.Helper()
	out, err := r.run("payment-consumer", []string{"audit"}, i.env()...)
	if (err == nil) != (complaint == "") || !strings.Contains(out, complaint) {
		r.Errorf("audit as %s: %v\n%s\nwant %q", i.name, err, out, complaint)
	}
}
