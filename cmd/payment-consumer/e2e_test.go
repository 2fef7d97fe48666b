package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/link"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/payment"
)

// database opens the stack's database as the consumer does.
func database(t *testing.T) *mysql.DB {
	t.Helper()
	db, err := mysql.Open(mysql.Config{
		Address: os.Getenv("PAYMENT_MYSQL_ADDRESS"), Database: os.Getenv("PAYMENT_MYSQL_DATABASE"),
		User: os.Getenv("PAYMENT_MYSQL_USER"), Password: os.Getenv("PAYMENT_MYSQL_PASSWORD"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// decisions is how many requests are decided: paid, or declined by a payer's balance, which other
// tests have drawn on.
func decisions(t *testing.T, db *mysql.DB) (n int64) {
	t.Helper()
	counts, err := db.CountPayments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range counts {
		n += count
	}
	return n
}

// decided returns which of these serials have a row.
func decided(t *testing.T, db *mysql.DB, serials map[string]bool) map[idem.Key]payment.Record {
	t.Helper()
	keys := make([]idem.Key, 0, len(serials))
	for serial := range serials {
		keys = append(keys, idem.Key(serial))
	}
	found, err := mysql.NewStore(db, 1<<53).Find(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// quarantined lists the whole quarantine, page by page.
func quarantined(t *testing.T, db *mysql.DB) (items []mysql.Item) {
	t.Helper()
	var after int64
	for {
		page, err := mysql.NewQuarantine(db).List(t.Context(), mysql.Filter{After: after, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return items
		}
		items = append(items, page...)
		after = page[len(page)-1].ID
	}
}

// TestConsume_KilledHalfWay sends repeated, altered and malformed orders to two consumers, one of
// which is killed and started again, and then looks for every single message.
func TestConsume_KilledHalfWay(t *testing.T) {
	requireStack(t)
	db := database(t)
	startConsumer(t)
	victim := startConsumer(t)

	journal := filepath.Join(t.TempDir(), "journal.jsonl")
	before := decisions(t, db)
	load := startLoad(t, "--orders", "5000", "--repeat", "20%", "--alter", "1%", "--malform", "1%",
		"--seed", "7", "--rate", "1500", "--journal", journal)
	await(t, "the first 1,000 decisions", func() bool { return decisions(t, db)-before >= 1000 })
	victim.kill(t)
	startConsumer(t)
	load.sent(t)

	valid, altered, malformed := sortJournal(readJournal(t, journal))
	if len(valid) < 4900 || len(altered) == 0 || len(malformed) == 0 {
		t.Fatalf("the load has %d valid serials, %d altered, %d malformed messages",
			len(valid), len(altered), len(malformed))
	}
	await(t, "every valid serial to be decided", func() bool {
		return len(decided(t, db, valid)) == len(valid)
	})
	var conflicts, rejected map[string]bool
	await(t, "every altered and every malformed message to be in quarantine", func() bool {
		conflicts, rejected = map[string]bool{}, map[string]bool{}
		for _, item := range quarantined(t, db) {
			switch item.Kind {
			case payment.KindConflict:
				conflicts[item.Serial] = true
			case payment.KindRejected:
				rejected[item.MessageID] = true
			case payment.KindUndecided:
				t.Errorf("quarantine %d is undecided: %s", item.ID, item.Detail)
			}
		}
		return covers(conflicts, altered) && covers(rejected, malformed)
	})
	audit(t)
}

// sortJournal returns the valid serials, those that were also sent with another content, and the
// IDs of the malformed messages.
func sortJournal(messages []message) (valid, altered, malformed map[string]bool) {
	valid, altered, malformed = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range messages {
		switch m.Kind {
		case "malformed":
			malformed[m.MessageID] = true
		case "altered":
			altered[m.Serial] = true
			valid[m.Serial] = true
		default:
			valid[m.Serial] = true
		}
	}
	return valid, altered, malformed
}

func covers(have, want map[string]bool) bool {
	for key := range want {
		if !have[key] {
			return false
		}
	}
	return true
}

// TestConsume_JavaClient sends with the official Java client: the same topic, Keys and JSON.
func TestConsume_JavaClient(t *testing.T) {
	requireStack(t)
	java, err := exec.LookPath("java")
	if err != nil {
		t.Fatal("the servers run, so there must be a java")
	}
	startConsumer(t)
	run := strconv.FormatInt(time.Now().UnixNano(), 36) // the stack may have seen this test before
	orderID, serial := "JAVA_ORDER_"+run, "JAVA_PAY_"+run
	for _, want := range []string{"paid", "duplicate"} {
		cmd := exec.CommandContext(t.Context(), java, "-Duser.home="+t.TempDir(), "-cp",
			filepath.Join(os.Getenv("PAYMENT_TEST_LIB"), "*"), "testdata/SendOrder.java",
			os.Getenv("PAYMENT_ROCKETMQ_NAME_SERVERS"), os.Getenv("PAYMENT_ROCKETMQ_TOPIC"),
			orderID, serial)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("java: %v\n%s", err, out)
		}
		await(t, "the result "+want, func() bool {
			out := mustRun(t, "order-producer", "results", "-o", "jsonl",
				"--serial", serial, "--group", "java-"+want+run)
			return strings.Contains(out, `"outcome":"`+want+`"`)
		})
	}
	why := mustRun(t, "payment-consumer", "why", serial)
	paid := serial + " is paid: 12.34 CNY from user-1 to shop-1 for order " + orderID
	if !strings.Contains(why, paid) {
		t.Errorf("why says:\n%s\nwant %q", why, paid)
	}
}

// TestConsume_Shutdown ends a consumer in the middle of a load: it must finish in order, and what
// it leaves is consumed by the next one.
func TestConsume_Shutdown(t *testing.T) {
	requireStack(t)
	db := database(t)
	first := startConsumer(t)
	journal := filepath.Join(t.TempDir(), "journal.jsonl")
	before := decisions(t, db)
	load := startLoad(t, "--orders", "1000000", "--seed", "8", "--rate", "1000", "--journal", journal)
	await(t, "the first 200 decisions", func() bool { return decisions(t, db)-before >= 200 })
	if status := first.stop(t); status != 0 {
		t.Errorf("SIGTERM under load: exit status %d", status)
	}
	load.interrupt(t)
	startConsumer(t)
	valid, _, _ := sortJournal(readJournal(t, journal))
	await(t, "every serial to be decided", func() bool {
		return len(decided(t, db, valid)) == len(valid)
	})
	audit(t)
}

// TestConsume_ShutdownHangs: a database that has fallen silent does not keep the process.
func TestConsume_ShutdownHangs(t *testing.T) {
	requireStack(t)
	silent, err := link.Listen("127.0.0.1:0", os.Getenv("PAYMENT_MYSQL_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	c := startConsumer(t, "PAYMENT_MYSQL_ADDRESS="+silent.Addr(), "PAYMENT_SHUTDOWN_GRACE_SECONDS=1",
		"PAYMENT_MYSQL_READ_TIMEOUT_SECONDS=100", "PAYMENT_MYSQL_SESSION_TIMEOUT_SECONDS=110")
	if err := silent.Blackhole(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "order-producer", "load", "--orders", "20", "--seed", "9")
	await(t, "all to wait for the database", func() bool {
		page, _ := c.get("/metrics")
		n, err := devstack.Metrics(page).Sum("payment_inflight_messages")
		return err == nil && n >= 20
	})
	status := c.stop(t)
	if status != 1 || !strings.Contains(c.log.String(), "not ended within the grace period") {
		t.Errorf("exit status %d; the end of its log:\n%s", status, tail(c.log.String()))
	}
}

// TestAudit_ExitStatus: an audit with other keys than the consumers' knows nothing of the cache.
func TestAudit_ExitStatus(t *testing.T) {
	requireStack(t)
	db := database(t)
	c := startConsumer(t)
	before := decisions(t, db)
	mustRun(t, "order-producer", "load", "--orders", "20", "--seed", "10")
	await(t, "20 decisions", func() bool { return decisions(t, db)-before >= 20 })
	if status := c.stop(t); status != 0 { // with the answers in the cache
		t.Errorf("exit status %d", status)
	}
	audit(t)
	o := run(t, "payment-consumer", []string{"PAYMENT_CACHE_KEYS=other:" + strings.Repeat("5a", 32)},
		"audit")
	if o.status != 1 || !strings.Contains(o.stdout, "values verifies") {
		t.Errorf("with other keys: status %d\n%s%s", o.status, o.stdout, o.stderr)
	}
}

// TestConsume_SecretsAndBodies reads the whole log at debug level for what must not be in it.
func TestConsume_SecretsAndBodies(t *testing.T) {
	requireStack(t)
	c := startConsumer(t)
	const marker = "MARKER-7f3a"
	mustRun(t, "order-producer", "send", "--key", "LOG_1", "--raw-body", `{"note":"`+marker+`"}`)
	mustRun(t, "order-producer", "send", "--key", "LOG_2", "--raw-body",
		"{\"order_id\":\""+marker+"\r\nlevel=error forged\"}")
	mustRun(t, "order-producer", "send", "--order-id", "LOG_3", "--serial", "LOG_PAY_3",
		"--payer", marker, "--payee", "shop-1", "--amount", "1.00")
	await(t, "the last of three deliveries in the log", func() bool {
		return strings.Contains(c.log.String(), "LOG_PAY_3")
	})
	if status := c.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	log := c.log.String()
	for what, text := range map[string]string{
		"a message's body":         marker,
		"the database's password":  os.Getenv("PAYMENT_MYSQL_PASSWORD"),
		"the cache's password":     os.Getenv("PAYMENT_REDIS_PASSWORD"),
		"the migration's password": os.Getenv("PAYMENT_MIGRATE_PASSWORD"),
		"the cache's key":          strings.TrimPrefix(os.Getenv("PAYMENT_CACHE_KEYS"), "k1:"),
	} {
		if strings.Contains(log, text) {
			t.Errorf("the log at debug level holds %s", what)
		}
	}
	// The client's own logger would write whole messages, once something is wrong.
	if !strings.Contains(log, `"logger":"rocketmq"`) {
		t.Errorf("the client does not log through the program:\n%s", log)
	}
}
