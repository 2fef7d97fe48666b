package main

import (
	"context"
	_ "embed" // scripts
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience is how long the effect of a button may take: a broker that starts takes a minute.
const patience = 3 * time.Minute

// visit is a tab of a browser, with the lab's page in it.
type visit struct {
	*diary
	lab    *lab
	ledger *ledger
	ctx    context.Context // of the tab
	opts   options
	base   string // the address of the page, without its path
}

// diary is what all tabs of a browser write into.
type diary struct {
	mu       sync.Mutex
	problems []string // since the last complaints
	frames   []frame  // of the lab's stream, while they are recorded
	record   bool
	taken    int // pictures
	looks    int // of axe
	felt     feeling
}

// open starts a browser and opens the page.
func open(ctx context.Context, l *lab, opts options) (v *visit, leave func(), err error) {
	at, err := url.Parse(l.address)
	if err != nil {
		return nil, nil, err
	}
	database, err := openLedger(l.env)
	if err != nil {
		return nil, nil, err
	}
	exec := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	exec = append(exec, chromedp.DisableGPU)
	if os.Geteuid() == 0 {
		exec = append(exec, chromedp.NoSandbox) // which root cannot have
	}
	allocated, endAllocator := chromedp.NewExecAllocator(ctx, exec...)
	tab, endTab := chromedp.NewContext(allocated)
	v = &visit{
		diary: &diary{}, lab: l, ledger: database, ctx: tab, opts: opts,
		base: at.Scheme + "://" + at.Host,
	}
	leave = func() { endTab(); endAllocator() }
	if err := errors.Join(v.prepare(watchScript), v.do(chromedp.Navigate(l.address))); err != nil {
		leave()
		return nil, nil, err
	}
	return v, leave, nil
}

// tab opens another tab of the same browser, without a page.
func (v *visit) tab(scripts ...[]byte) (*visit, func(), error) {
	ctx, leave := chromedp.NewContext(v.ctx)
	tab := *v
	tab.ctx = ctx
	if err := tab.prepare(scripts...); err != nil {
		leave()
		return nil, nil, err
	}
	return &tab, leave, nil
}

//go:embed inject/watch.js
var watchScript []byte

// prepare opens a tab as most people see it. The scripts run before those of each page in it.
func (v *visit) prepare(scripts ...[]byte) error {
	if err := chromedp.Do(v.ctx); err != nil { // opens the tab
		return err
	}
	for _, script := range scripts {
		_, err := chromedp.Call(v.ctx, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: string(script)})
		if err != nil {
			return err
		}
	}
	return errors.Join(v.listen(), v.size(desktop), v.dark(false))
}

// listen notes what is on the console, requests that go elsewhere, and frames of the lab.
func (v *visit) listen() error {
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
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			if v.outside(event.Request.URL) {
				v.note("a request leaves the page: %s", event.Request.URL)
			}
		case *network.EventEventSourceMessageReceived:
			v.recorded(event)
		}
	})
}

// outside says whether an address is not the lab's own.
func (v *visit) outside(address string) bool {
	return !strings.HasPrefix(address, v.base+"/") && !strings.HasPrefix(address, "data:")
}

func (v *diary) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// complaints returns what was noted since the last call.
func (v *diary) complaints() error {
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

// underWay is what the actions say that have not ended.
const underWay = `[...document.querySelectorAll('#tasks [data-state="running"]')]
  .map((e) => e.innerText.replaceAll("\n", " ")).join("; ") || "nothing"`

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
			busy, err := eval[string](v, underWay)
			return errors.Join(fmt.Errorf("waited %v for %s; under way: %s", patience, what, busy), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// screen is a size in pixels.
type screen struct{ width, height int64 }

// Sizes of the page.
var (
	desktop = screen{1440, 900} //nolint:gochecknoglobals // a constant, which Go has none of
	phone   = screen{390, 844}  //nolint:gochecknoglobals // a constant, which Go has none of
)

func (v *visit) size(s screen) error {
	return v.do(chromedp.EmulateViewport(s.width, s.height))
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

// load opens the page anew, in a language.
func (v *visit) load(language string) error {
	return errors.Join(v.do(chromedp.Navigate(v.base+"/?lang="+language)),
		v.until("the page", `document.querySelector("#consumers li") !== null`))
}
