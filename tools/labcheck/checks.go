package main

import (
	"errors"
	"fmt"
	"regexp"
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
	conflict := rows{conflicts: 1, open: 1}
	return []check{
		{"the page shows two consumers and a verdict", firstSight},
		{"send an order: paid, with two entries", sendOrder},
		{"send it again: a duplicate, by the cache", again("the cache")},
		{"empty Redis", does("flush", rows{}, "Redis is empty")},
		{"send it again: a duplicate, by the database", again("the database")},
		{"same serial, another amount: a conflict", does("altered", conflict, "Conflict")},
		{"overdraft: declined, without entries",
			does("overdraft", rows{declined: 1, serials: 1}, "Declined", "insufficient_funds")},
		{"malformed message: quarantined",
			does("malformed", rows{rejected: 1, open: 1}, "kept in quarantine")},
		{"lose the answer: stored twice, paid once",
			does("lost-answer", payments(1), "was lost", "Paid", "Duplicate")},
		{"the story of a serial", story},
		{"look into the quarantine, replay, discard", quarantine},
		{"kill a consumer: what comes again is not paid again", kill},
		{"add a consumer", does("add", payments(16), "is ready", "came again")},
		{"remove a consumer", remove},
		{"one serial in every queue", does("race", payments(1), "Payments made: 1.")},
		{"cut the connection before COMMIT",
			does("cut-commit", payments(1), "broke before COMMIT", "Paid")},
		{"10,000 orders, a button that answers meanwhile, and bounded memory", burst},
		{"the same burst once more, frame by frame: what the page's thread does", replayed},
		{"replay the topic", does("replay", rows{}, "0 payments more")},
		{"Redis is killed, and orders are paid", outage("redis", false)},
		{"the database is killed, and orders wait", outage("mysql", true)},
		{"the broker is killed, and the producer tries on", outage("broker", true)},
		{"the guided tour, by keyboard", tour},
		{"in the dark, on a phone, in Chinese", looks},
		{"light and dark by hand", byHand},
		{"nothing serious for axe: two languages, light and dark, desk and phone", forEverybody},
		{"message ID as the token pays twice", wrong("message-id",
			rows{paid: 2, serials: 1, entries: 4}.are, "Paid twice", "send", "again")},
		{"check, then act pays twice", wrong("check-then-act", repeatedly, "Paid twice", "race")},
		{"cache before commit loses",
			wrong("cache-first", rows{}.are, "Paid in the cache only", "cut-commit")},
		{"the right order, and the same faults", rightOrder},
		{"all buttons in random order, and a ledger that is right", anyOrder},
		{"clicks were answered within a second", func(v *visit) error { return v.felt.prompt() }},
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

// does is says, and wants the database to have changed in this way.
func does(action string, want rows, words ...string) func(*visit) error {
	return func(v *visit) error {
		return v.changes(want, func() error { return says(action, words...)(v) })
	}
}

func sendOrder(v *visit) error {
	if err := does("send", payments(1), "Paid by consumer")(v); err != nil {
		return err
	}
	time.Sleep(1200 * time.Millisecond) // its dot is on its way
	if err := v.shot("an-order-on-its-way"); err != nil {
		return err
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
		if err := does("again", rows{}, "Duplicate, says "+by)(v); err != nil {
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
	const shown = `document.querySelectorAll("#aside tbody tr").length`
	button := func(n int) string {
		return fmt.Sprintf("#aside tbody tr:first-child td:last-child button:nth-child(%d)", n)
	}
	if err := v.until("two messages in quarantine", shown+" === 2"); err != nil {
		return err
	}
	if err := v.do(chromedp.Click(button(1), chromedp.NodeVisible)); err != nil {
		return err
	}
	if err := errors.Join(v.until("the message", openDialog), v.shot("quarantine"),
		v.do(chromedp.Click("#story form button", chromedp.NodeVisible))); err != nil {
		return err
	}
	// What is replayed is still wrong, and comes back; what is discarded stays, and is not open.
	for n, action := range []string{"quarantine-replay", "quarantine-discard"} {
		id, err := v.click(button(2+n), action)
		if err == nil {
			_, err = v.told(action, id)
		}
		if err == nil {
			err = errors.Join(v.eventuallyOpen(2-n),
				v.until("the list", fmt.Sprintf("%s === %d", shown, 2-n)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventuallyOpen waits until so many messages are open in quarantine.
func (v *visit) eventuallyOpen(want int) error {
	limit := time.Now().Add(patience)
	for {
		r, err := v.ledger.count(v.ctx)
		if err != nil || r.open == want {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%d messages are open in quarantine, want %d", r.open, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// kill kills a consumer. Its orders are sixteen, or as many again if none of them came again.
func kill(v *visit) error {
	got, err := v.changed(func() error { return says("kill", "killed with -9", "came again")(v) })
	if err == nil && (got.paid == 0 || got != payments(got.paid)) {
		err = fmt.Errorf("the database has changed by %+v", got)
	}
	return err
}

const living = `[...document.querySelectorAll("#consumers li")].filter(
  (c) => ["ready", "waiting", "starting"].includes(c.dataset.state)).length`

func remove(v *visit) error {
	before, err := eval[int](v, living)
	if err != nil {
		return err
	}
	return errors.Join(does("remove", rows{}, "ended with status 0")(v),
		v.until("one consumer less", fmt.Sprintf("%s === %d", living, before-1)))
}

// paidAnswer is the answer for an order that is paid. After a fault it may be that to a second
// delivery, as the broker did not take the first one.
var paidAnswer = regexp.MustCompile(`Paid by|the first answer was paid`)

// outage kills a server and sends an order meanwhile.
func outage(server string, waits bool) func(*visit) error {
	return func(v *visit) error {
		before, err := v.ledger.count(v.ctx)
		if err != nil {
			return err
		}
		if err := says("stop-"+server, "is gone")(v); err != nil {
			return err
		}
		if v.lab.listens(server) {
			return fmt.Errorf("%s still accepts connections", server)
		}
		id, err := v.click(`.group [data-act="send"]`, "send")
		if err != nil {
			return err
		}
		if waits {
			time.Sleep(4 * time.Second)
			err := errors.Join(v.shot("without-"+server), v.accessible("without "+server))
			if err != nil {
				return err
			}
		} else if _, err := v.told("send", id); err != nil {
			return err
		}
		if err := says("start-"+server, "is back")(v); err != nil {
			return err
		}
		text, err := v.told("send", id)
		if err == nil && !paidAnswer.MatchString(text) {
			err = errors.New(text)
		}
		after, counted := v.ledger.count(v.ctx)
		if got := after.since(before); counted == nil && got != payments(1) {
			counted = fmt.Errorf("the database has changed by %+v", got)
		}
		return errors.Join(err, counted, v.verdict("ok", "Nothing paid twice"))
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

// looks leaves pictures of the page as others see it.
func looks(v *visit) error {
	return errors.Join(v.dark(true), v.shot("dark"),
		v.size(phone), v.load("en"), v.shot("phone-dark"), v.dark(false), v.shot("phone"),
		v.size(desktop), v.load("zh"),
		v.until("Chinese", `document.querySelector("h1").textContent === "支付实验室"`),
		v.shot("chinese"), v.load("en"))
}

// byHand chooses colours that are not the system's, which are light.
func byHand(v *visit) error {
	choose := func(theme string) error {
		_, err := eval[bool](v, fmt.Sprintf(`(() => { const list = document.querySelector("#theme");
  list.value = %q; return list.dispatchEvent(new Event("change")); })()`, theme))
		return err
	}
	ground := func(what, is string) error {
		return v.until(what, fmt.Sprintf("getComputedStyle(document.body).backgroundColor === %q", is))
	}
	const light, dark = "rgb(246, 246, 243)", "rgb(20, 23, 26)"
	return errors.Join(ground("a light page", light), choose("dark"), ground("a dark page", dark),
		v.load("en"), ground("a page that stays dark", dark),
		choose("auto"), ground("the system's colours", light))
}

// turnsRed is how long a wrong payment may stay unseen.
const turnsRed = 5 * time.Second

// are says whether the rows are these.
func (r rows) are(got rows) bool { return got == r }

// repeatedly says whether one serial was paid more than once: as often as there were racers.
func repeatedly(got rows) bool {
	return got.paid > 1 && got == rows{paid: got.paid, serials: 1, entries: 2 * got.paid}
}

// wrong switches a wrong order of writes on and does what breaks it.
func wrong(
	order string, broke func(rows) bool, words string, actions ...string,
) func(*visit) error {
	return func(v *visit) error {
		if err := says("order-"+order, "Ready")(v); err != nil {
			return err
		}
		if err := v.verdict("ok", "Nothing paid twice"); err != nil {
			return err
		}
		if r, err := v.ledger.count(v.ctx); err != nil || r != (rows{}) {
			return errors.Join(err, fmt.Errorf("the new ledger is not empty: %+v", r))
		}
		var begin time.Time
		got, err := v.changed(func() error {
			for _, action := range actions {
				if _, err := v.press(action); err != nil {
					return err
				}
			}
			begin = time.Now()
			return nil
		})
		if err == nil && !broke(got) {
			err = fmt.Errorf("the database has changed by %+v", got)
		}
		if err != nil {
			return err
		}
		if err := v.verdict("violated", words); err != nil {
			return err
		}
		took := time.Since(begin)
		fmt.Printf("        red %.1f s after the fault\n", took.Seconds())
		if took > turnsRed {
			return fmt.Errorf("that is more than %v", turnsRed)
		}
		return errors.Join(v.shot("wrong-"+order), v.accessible(order))
	}
}

func rightOrder(v *visit) error {
	return errors.Join(says("order-right", "Ready")(v), does("cut-commit", payments(1), "Paid by")(v),
		does("race", payments(1), "Payments made: 1.")(v), does("send", payments(1), "Paid by")(v),
		does("again", rows{}, "Duplicate")(v),
		v.verdict("ok", "Nothing paid twice"), v.shot("right-again"))
}
