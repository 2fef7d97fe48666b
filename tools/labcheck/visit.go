package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// patience is how long the effect of a button may take: a broker that starts takes a minute.
const patience = 3 * time.Minute

// visit is a browser with the page in it.
type visit struct {
	ctx   context.Context
	base  string
	shots string
	taken int

	mu       sync.Mutex
	problems []string // since the last complaints
}

// open starts a browser and opens the page.
func open(ctx context.Context, address, shots string) (v *visit, leave func(), err error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, nil, err
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.DisableGPU)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	allocated, endAllocator := chromedp.NewExecAllocator(ctx, options...)
	tab, endTab := chromedp.NewContext(allocated)
	leave = func() { endTab(); endAllocator() }
	v = &visit{ctx: tab, base: at.Scheme + "://" + at.Host, shots: shots}
	if err := v.listen(); err != nil {
		leave()
		return nil, nil, err
	}
	err = errors.Join(v.size(1440, 900), v.dark(false), v.do(chromedp.Navigate(address)))
	if err != nil {
		leave()
		return nil, nil, err
	}
	return v, leave, nil
}

// listen notes what is on the console, and requests that go elsewhere.
func (v *visit) listen() error {
	if err := chromedp.Do(v.ctx); err != nil { // opens the tab
		return err
	}
	messages := chromedp.Console(v.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			v.note("on the console: %s: %s (%s)", m.Type, m.Text, m.URL)
		}
	}()
	if _, err := chromedp.Call(v.ctx, network.Enable, network.EnableParams{}); err != nil {
		return err
	}
	return chromedp.Listen(v.ctx, func(event any) {
		if sent, ok := event.(*network.EventRequestWillBeSent); ok && v.outside(sent.Request.URL) {
			v.note("a request leaves the page: %s", sent.Request.URL)
		}
	})
}

// outside says whether an address is not the lab's own.
func (v *visit) outside(address string) bool {
	return !strings.HasPrefix(address, v.base+"/") && !strings.HasPrefix(address, "data:")
}

func (v *visit) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// complaints returns what was noted since the last call.
func (v *visit) complaints() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []error
	for _, problem := range v.problems {
		all = append(all, errors.New(problem))
	}
	v.problems = nil
	return errors.Join(all...)
}

func (v *visit) do(steps ...chromedp.Action[chromedp.Void]) error {
	return chromedp.Do(v.ctx, steps...)
}

// eval evaluates an expression, or a promise, of the page.
func eval[T any](v *visit, expression string) (T, error) {
	return chromedp.Run(v.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits until an expression is true.
func (v *visit) until(what, expression string) error {
	limit := time.Now().Add(patience)
	for {
		holds, err := eval[bool](v, expression)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case holds:
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("waited %v for %s", patience, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// press clicks on the button of an action, waits until it has done its work, and returns what the
// page says has happened.
func (v *visit) press(action string) (string, error) {
	id, err := v.click(fmt.Sprintf(`.group [data-act=%q]`, action), action)
	if err != nil {
		return "", err
	}
	return v.told(action, id)
}

// newest is the number of the last task of an action, 0 if there was none.
const newest = `Math.max(0, ...[...document.querySelectorAll('#tasks [data-action=%q]')]
  .map((e) => Number(e.dataset.task)))`

// click clicks on something, and returns the number of the task that it begins.
func (v *visit) click(selector, action string) (int64, error) {
	before, err := eval[int64](v, fmt.Sprintf(newest, action))
	if err != nil {
		return 0, err
	}
	enabled := fmt.Sprintf("!document.querySelector(%q).disabled", selector)
	if err := v.until(action+" to be possible", enabled); err != nil {
		return 0, err
	}
	if err := v.do(chromedp.Click(selector, chromedp.NodeVisible)); err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	begun := fmt.Sprintf(newest+" > %d", action, before)
	if err := v.until(action+" to begin", begun); err != nil {
		return 0, err
	}
	return eval[int64](v, fmt.Sprintf(newest, action))
}

// told waits for the end of a task and returns its words.
func (v *visit) told(action string, id int64) (string, error) {
	task := fmt.Sprintf(`document.querySelector('#tasks [data-task="%d"]')`, id)
	if err := v.until(action+" to end", task+`.dataset.state !== "running"`); err != nil {
		return "", err
	}
	text, err := eval[string](v, task+".innerText")
	if err != nil {
		return "", err
	}
	state, err := eval[string](v, task+".dataset.state")
	if err == nil && state != "done" {
		err = fmt.Errorf("%s: %s", action, text)
	}
	return text, err
}

// verdict waits until the audit's verdict, which is always in sight, is of a kind and names a rule.
func (v *visit) verdict(state, words string) error {
	return v.until("the verdict "+state, fmt.Sprintf(`document.querySelector("#verdict").dataset.state
  === %q && document.querySelector("#verdict-text").textContent.includes(%q)`, state, words))
}

// stored is what the database holds of a serial, as payment-consumer why says.
type stored struct {
	Why struct {
		Database struct {
			Payment *struct {
				Status string `json:"status"`
			} `json:"payment"`
			Entries []struct{} `json:"entries"`
		} `json:"database"`
	} `json:"why"`
	Deliveries []struct {
		Outcome string `json:"outcome"`
		By      string `json:"by"`
	} `json:"deliveries"`
}

func (v *visit) stored(serial string) (s stored, err error) {
	text, err := eval[string](v, fmt.Sprintf(`fetch("/story/%s").then((r) => r.text())`, serial))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("the story of %s is %q: %w", serial, text, err)
	}
	return s, nil
}

func (v *visit) size(width, height int64) error {
	return v.do(chromedp.EmulateViewport(width, height))
}

func (v *visit) dark(on bool) error {
	scheme := "light"
	if on {
		scheme = "dark"
	}
	_, err := chromedp.Call(v.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	return err
}

// shot leaves a picture of what is in sight.
func (v *visit) shot(name string) error {
	if v.shots == "" {
		return nil
	}
	if _, err := eval[bool](v, "scrollTo(0, 0), true"); err != nil {
		return err
	}
	picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	v.taken++
	file := filepath.Join(v.shots, fmt.Sprintf("%02d-%s.png", v.taken, name))
	return os.WriteFile(file, picture, 0o644)
}
