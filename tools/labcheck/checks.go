package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// check is one thing that a visitor does.
type check struct {
	name string
	run  func(*visit) error
}

func checks() []check {
	return []check{
		{"the page shows two consumers and a verdict", firstSight},
		{"send an order: paid, with two entries", sendOrder},
		{"send it again: a duplicate, by the cache", again("the cache")},
		{"empty Redis", says("flush", "Redis is empty")},
		{"send it again: a duplicate, by the database", again("the database")},
		{"same serial, another amount: a conflict", says("altered", "Conflict")},
		{"overdraft: declined", says("overdraft", "Declined", "insufficient_funds")},
		{"malformed message: quarantined", says("malformed", "kept in quarantine")},
		{"lose the answer: stored twice, paid once",
			says("lost-answer", "was lost", "Paid", "Duplicate")},
		{"the story of a serial", story},
		{"look into the quarantine, replay, discard", quarantine},
		{"kill a consumer", says("kill", "killed with -9", "came again")},
		{"add a consumer", says("add", "is ready", "came again")},
		{"remove a consumer", says("remove", "ended with status 0")},
		{"one serial in every queue", says("race", "Payments made: 1.")},
		{"cut the connection before COMMIT", says("cut-commit", "broke before COMMIT", "Paid")},
		{"10,000 orders, and the page stays alive", burst},
		{"replay the topic", says("replay", "0 payments more")},
		{"Redis is killed, and orders are paid", outage("redis", false)},
		{"the database is killed, and orders wait", outage("mysql", true)},
		{"the broker is killed, and the producer tries on", outage("broker", true)},
		{"the guided tour, by keyboard", tour},
		{"in the dark, on a phone, in Chinese", looks},
		{"message ID as the token pays twice", wrong("message-id", "Paid twice", "send", "again")},
		{"check, then act pays twice", wrong("check-then-act", "Paid twice", "race")},
		{"cache before commit loses", wrong("cache-first", "Paid in the cache only", "cut-commit")},
		{"the right order, and the same faults", rightOrder},
	}
}

func firstSight(v *visit) error {
	return errors.Join(
		v.until("two consumers", `document.querySelectorAll(
  '#consumers [data-state="ready"]').length === 2`),
		v.verdict("ok", "Nothing paid twice"),
		v.until("an end of the connection's absence", `document.querySelector("#lost").hidden`),
		v.shot("first-sight"))
}

// says presses a button and wants these words in what the page says has happened.
func says(action string, words ...string) func(*visit) error {
	return func(v *visit) error {
		text, err := v.press(action)
		if err != nil {
			return err
		}
		for _, part := range words {
			if !strings.Contains(text, part) {
				return fmt.Errorf("%s says nothing of %q: %q", action, part, text)
			}
		}
		return nil
	}
}

func sendOrder(v *visit) error {
	if err := says("send", "Paid by consumer")(v); err != nil {
		return err
	}
	time.Sleep(1200 * time.Millisecond) // its dot is on its way
	if err := v.shot("an-order-on-its-way"); err != nil {
		return err
	}
	serial, err := eval[string](v, `document.querySelector("#results button.serial").textContent`)
	if err != nil {
		return err
	}
	s, err := v.stored(serial)
	if err != nil {
		return err
	}
	if p := s.Why.Database.Payment; p == nil || p.Status != "paid" ||
		len(s.Why.Database.Entries) != 2 {
		return fmt.Errorf("the database holds %+v of %s", s.Why.Database, serial)
	}
	return v.until("the counter", `document.querySelector("#out-paid").textContent === "1"`)
}

// again sends the last order again, which changes no balance.
func again(by string) func(*visit) error {
	const balances = `document.querySelector("#money").innerText`
	return func(v *visit) error {
		before, err := eval[string](v, balances)
		if err != nil {
			return err
		}
		if err := says("again", "Duplicate, says "+by)(v); err != nil {
			return err
		}
		time.Sleep(time.Second) // two readings of the balances
		after, err := eval[string](v, balances)
		if err == nil && after != before {
			err = fmt.Errorf("money has moved: %q, then %q", before, after)
		}
		return err
	}
}

const openDialog = `document.querySelector("#story").open`

func story(v *visit) error {
	if err := v.do(chromedp.Click("#results tbody button.serial", chromedp.NodeVisible)); err != nil {
		return err
	}
	if err := v.until("the story", openDialog); err != nil {
		return err
	}
	text, err := eval[string](v, `document.querySelector("#story").innerText`)
	if err != nil {
		return err
	}
	for _, part := range []string{"Paid:", "Ledger entries", "Cache", "Deliveries", "duplicate"} {
		if !strings.Contains(text, part) {
			return fmt.Errorf("the story says nothing of %q: %s", part, text)
		}
	}
	return errors.Join(v.shot("story"), v.do(chromedp.KeyEvent("\x1b")),
		v.until("the end of the story", "!"+openDialog))
}

func quarantine(v *visit) error {
	const rows = `document.querySelectorAll("#aside tbody tr").length`
	button := func(n int) string {
		return fmt.Sprintf("#aside tbody tr:first-child td:last-child button:nth-child(%d)", n)
	}
	if err := v.until("two messages in quarantine", rows+" === 2"); err != nil {
		return err
	}
	if err := v.do(chromedp.Click(button(1), chromedp.NodeVisible)); err != nil {
		return err
	}
	if err := errors.Join(v.until("the message", openDialog), v.shot("quarantine"),
		v.do(chromedp.Click("#story form button", chromedp.NodeVisible))); err != nil {
		return err
	}
	for n, action := range map[int]string{2: "quarantine-replay", 3: "quarantine-discard"} {
		id, err := v.click(button(n), action)
		if err == nil {
			_, err = v.told(action, id)
		}
		if err != nil {
			return err
		}
	}
	return v.until("one message less", rows+" <= 2")
}

// burst sends ten thousand orders and wants the page to go on drawing, and to stay small.
func burst(v *visit) error {
	const watch = `(() => { window.gap = 0; let last = performance.now(); const see = (now) => {
  window.gap = Math.max(window.gap, now - last); last = now; window.watching =
  requestAnimationFrame(see); }; requestAnimationFrame(see); return true; })()`
	if _, err := eval[bool](v, watch); err != nil {
		return err
	}
	id, err := v.click(`.group [data-act="burst"]`, "burst")
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	if err := v.shot("burst"); err != nil {
		return err
	}
	most, err := eval[int64](v, `document.querySelectorAll("*").length`)
	if err != nil {
		return err
	}
	text, err := v.told("burst", id)
	if err != nil {
		return err
	}
	gap, err := eval[float64](v, "cancelAnimationFrame(window.watching), window.gap")
	if err != nil {
		return err
	}
	fmt.Printf("        %s; the longest pause between two pictures was %.0f ms, with %d elements\n",
		text[strings.LastIndex(text, "\n")+1:], gap, most)
	if !strings.Contains(text, "10000 paid") || most > 3000 {
		return fmt.Errorf("%d elements; %s", most, text)
	}
	return v.verdict("ok", "Nothing paid twice")
}

// outage kills a server and sends an order meanwhile.
func outage(server string, waits bool) func(*visit) error {
	return func(v *visit) error {
		if err := says("stop-"+server, "is gone")(v); err != nil {
			return err
		}
		id, err := v.click(`.group [data-act="send"]`, "send")
		if err != nil {
			return err
		}
		if waits {
			time.Sleep(4 * time.Second)
			if err := v.shot("without-" + server); err != nil {
				return err
			}
		} else if _, err := v.told("send", id); err != nil {
			return err
		}
		if err := says("start-"+server, "is back")(v); err != nil {
			return err
		}
		text, err := v.told("send", id)
		if err == nil && !strings.Contains(text, "Paid by") {
			err = errors.New(text)
		}
		return errors.Join(err, v.verdict("ok", "Nothing paid twice"))
	}
}

// tour walks through all stops with the keyboard alone.
func tour(v *visit) error {
	if err := v.do(chromedp.Focus("#tour-open"), chromedp.KeyEvent("\r")); err != nil {
		return err
	}
	const shown = `document.querySelector("#tour article:not([hidden]) h2").textContent`
	seen := map[string]bool{}
	for {
		title, err := eval[string](v, shown)
		if err != nil {
			return err
		}
		seen[title] = true
		if err := v.shot(fmt.Sprintf("tour-%d", len(seen))); err != nil {
			return err
		}
		last, err := eval[bool](v, `document.querySelector("#tour-next").disabled`)
		if err != nil || last {
			break
		}
		if err := v.do(chromedp.Focus("#tour-next"), chromedp.KeyEvent("\r")); err != nil {
			return err
		}
	}
	if len(seen) != 11 {
		return fmt.Errorf("the tour has %d stops: %v", len(seen), seen)
	}
	return errors.Join(v.do(chromedp.Focus("#tour-end"), chromedp.KeyEvent("\r")),
		v.until("the end of the tour", `document.querySelector("#tour").hidden`))
}

// looks wants no sideways scrolling on a phone, and another language on demand.
func looks(v *visit) error {
	const fits = "document.documentElement.scrollWidth <= innerWidth"
	load := func(path string) error {
		return errors.Join(v.do(chromedp.Navigate(v.base+path)),
			v.until("results", `document.querySelector("#results tbody tr") !== null`))
	}
	return errors.Join(v.dark(true), v.shot("dark"), v.dark(false),
		// As wide as a phone.
		v.size(390, 844), load("/"), v.until("a page that fits a phone", fits), v.shot("phone"),
		v.size(1440, 900), load("/?lang=zh"),
		v.until("Chinese", `document.querySelector("h1").textContent === "支付实验室"`), v.shot("chinese"),
		load("/?lang=en"))
}

// wrong switches a wrong order of writes on and does what breaks it.
func wrong(order, words string, actions ...string) func(*visit) error {
	return func(v *visit) error {
		if err := says("order-"+order, "Ready")(v); err != nil {
			return err
		}
		if err := v.verdict("ok", "Nothing paid twice"); err != nil {
			return err
		}
		for _, action := range actions {
			if _, err := v.press(action); err != nil {
				return err
			}
		}
		begin := time.Now()
		if err := v.verdict("violated", words); err != nil {
			return err
		}
		fmt.Printf("        the verdict is there %.1f s after the fault\n", time.Since(begin).Seconds())
		return v.shot("wrong-" + order)
	}
}

func rightOrder(v *visit) error {
	return errors.Join(says("order-right", "Ready")(v), says("cut-commit", "Paid by")(v),
		says("race", "Payments made: 1.")(v), says("send", "Paid by")(v), says("again", "Duplicate")(v),
		v.verdict("ok", "Nothing paid twice"), v.shot("right-again"))
}
