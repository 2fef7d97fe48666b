package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"
)

// allPressed is how much longer than asked for the pressing may go on, until every button had its
// turn: a broker that starts keeps others waiting.
const allPressed = 4 * time.Minute

// refusals are what the lab may say when buttons are pressed in any order, and is right to say.
var refusals = regexp.MustCompile(`this is the last consumer|there are \d consumers already|` +
	`no consumer runs|nothing was sent yet|has taken the fault|the database knows no serial|` +
	`Redis is away|connection refused|does not run|runs already|nothing came again`)

// presser presses buttons at random.
type presser struct {
	*visit
	rng     *rand.Rand
	deck    []string // what is left of a round, in which each button has one turn
	pressed map[string]int
	end     time.Time
}

// anyOrder presses all buttons in random order, for a while and until each was pressed. The ledger
// must be right whenever the order of writes is, and in the end. The second half is spent in the
// right order alone, or the last ledger would hardly have seen anything.
func anyOrder(v *visit) error {
	fmt.Printf("        seed %d, %v\n", v.opts.seed, v.opts.press)
	p := &presser{
		visit: v, rng: rand.New(rand.NewPCG(v.opts.seed, 0)), pressed: map[string]int{},
		end: time.Now().Add(v.opts.press),
	}
	all, err := p.buttons("")
	if err != nil {
		return err
	}
	for ended := p.end.Add(allPressed); time.Now().Before(p.end) || len(p.pressed) < len(all); {
		if time.Now().After(ended) {
			return fmt.Errorf("only %d of %d buttons could be pressed: %v", len(p.pressed),
				len(all), p.pressed)
		}
		if err := p.turn(); err != nil {
			return err
		}
	}
	sum := 0
	for _, n := range p.pressed {
		sum += n
	}
	fmt.Printf("        %d buttons were pressed %d times\n", len(p.pressed), sum)
	return p.settle()
}

// buttons are those of the page that this selects.
func (p *presser) buttons(selector string) ([]string, error) {
	text, err := eval[string](p.visit, fmt.Sprintf(
		`[...document.querySelectorAll('.group [data-act]%s')].map((b) => b.dataset.act).join(" ")`,
		selector))
	return strings.Fields(text), err
}

// turn presses the next button of the deck that can be pressed.
func (p *presser) turn() error {
	red, err := eval[bool](p.visit, `document.querySelector("#verdict").dataset.state === "violated" &&
    document.querySelector("#order").dataset.order === "right"`)
	if err != nil || red {
		return errors.Join(err, p.red(red))
	}
	able, err := p.buttons(":not(:disabled)")
	if err != nil {
		return err
	}
	if len(p.deck) == 0 {
		if p.deck, err = p.buttons(""); err != nil {
			return err
		}
		p.rng.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	late := time.Until(p.end) < p.opts.press/2 && p.allWrong()
	if late {
		p.deck = slices.DeleteFunc(p.deck, func(id string) bool {
			return strings.HasPrefix(id, "order-")
		})
		if wrong, err := p.wrongInForce(); err != nil || wrong {
			p.deck = slices.Insert(p.deck, 0, "order-right")
		}
	}
	i := slices.IndexFunc(p.deck, func(id string) bool { return slices.Contains(able, id) })
	if i < 0 {
		time.Sleep(200 * time.Millisecond)
		return nil
	}
	next := p.deck[i]
	p.deck = slices.Delete(p.deck, i, i+1)
	if err := p.lastLook(next); err != nil {
		return err
	}
	if _, err := p.click(button(next), next); err != nil {
		return err
	}
	p.pressed[next]++
	time.Sleep(time.Duration(100+p.rng.IntN(1200)) * time.Millisecond)
	return nil
}

// lastLook audits a ledger that is about to be thrown away, if it has to be right.
func (p *presser) lastLook(next string) error {
	if !strings.HasPrefix(next, "order-") {
		return nil
	}
	wrong, err := p.wrongInForce()
	if err != nil || wrong {
		return err
	}
	return p.lab.audit(p.ctx)
}

// allWrong says whether each wrong order had its turn.
func (p *presser) allWrong() bool {
	return p.pressed["order-cache-first"] > 0 && p.pressed["order-check-then-act"] > 0 &&
		p.pressed["order-message-id"] > 0
}

func (p *presser) wrongInForce() (bool, error) {
	return eval[bool](p.visit, `document.querySelector("#order").dataset.order !== "right" &&
    document.querySelector('#tasks [data-action="order-right"][data-state="running"]') === null`)
}

func (p *presser) red(is bool) error {
	if !is {
		return nil
	}
	said, err := eval[string](p.visit, `document.querySelector("#rule-list").textContent`)
	return errors.Join(err, fmt.Errorf("the ledger is wrong in the right order: %s", said))
}

// settle lets what is under way end, and wants a ledger that is right.
func (p *presser) settle() error {
	for _, server := range []string{"redis", "mysql", "broker"} {
		if err := p.running(server); err != nil {
			return err
		}
	}
	if err := p.idle(); err != nil {
		return err
	}
	if wrong, err := p.wrongInForce(); err != nil || wrong {
		return errors.Join(err, errors.New("a wrong order is in force"))
	}
	failed, err := eval[string](p.visit, `[...document.querySelectorAll(
    '#tasks [data-state="failed"]')].map((e) => e.innerText.replaceAll("\n", " ")).join("\n")`)
	if err != nil {
		return err
	}
	var problems []error
	for text := range strings.Lines(failed) {
		if !refusals.MatchString(text) {
			problems = append(problems, errors.New(strings.TrimSpace(text)))
		}
	}
	// Queues may be changing hands still: the answer is perhaps that of a second delivery.
	return errors.Join(append(problems, does("send", payments(1))(p.visit),
		p.verdict("ok", "Nothing paid twice"), p.lab.audit(p.ctx))...)
}

// running sees to it that a server runs. It may be about to start: then neither of its buttons can
// be pressed.
func (p *presser) running(server string) error {
	start, stop := enabled(button("start-"+server)), enabled(button("stop-"+server))
	if err := p.until("the buttons of "+server, start+" || "+stop); err != nil {
		return err
	}
	if down, err := eval[bool](p.visit, start); err != nil || !down {
		return err
	}
	_, err := p.press("start-" + server)
	return err
}

// idle waits until nothing is under way.
func (v *visit) idle() error {
	return v.until("the end of what is under way",
		`document.querySelector('#tasks [data-state="running"]') === null`)
}
