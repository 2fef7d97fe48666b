package main

import (
	_ "embed" // scripts
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Limits of a burst.
const (
	clicks  = 5 // during the burst
	replays = 3
	// frameCost is the thread's own time for a frame, with all that it moves and draws, in rounds of
	// the yardstick: lists of 200 lines, made and laid out. Nobody else's work counts in it, and a
	// machine that is slow today is slow at both. How long tasks take says as much about the machine
	// as about the page, and is only told.
	frameCost  = 16
	yardsticks = 50 // rounds in a measurement
	// The page keeps what it shows. Of a burst remain full tables and charts; of another one, which
	// it has seen already, nothing.
	burstBytes, burstNodes   = 6 << 20, 2500
	repeatBytes, repeatNodes = 1 << 20, 250
)

// frame is an event of the lab's stream, and when it came, in milliseconds.
type frame struct {
	At   float64 `json:"at"`
	Data string  `json:"data"`
}

// recorded keeps a frame while a recording is made.
func (d *diary) recorded(event *network.EventEventSourceMessageReceived) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.record {
		at := event.Timestamp.Float64() * 1000
		d.frames = append(d.frames, frame{At: at, Data: event.Data})
	}
}

func (d *diary) recording(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record = on
}

// usage is what a page has of memory, after the garbage was collected.
type usage struct {
	bytes float64
	nodes int64
}

func (v *visit) usage() (u usage, err error) {
	_, err = chromedp.Call(v.ctx, heapprofiler.CollectGarbage, cdp.Empty{})
	if err != nil {
		return u, err
	}
	heap, err := chromedp.Call(v.ctx, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		return u, err
	}
	counters, err := chromedp.Call(v.ctx, memory.GetDOMCounters, cdp.Empty{})
	return usage{heap.UsedSize, counters.Nodes}, err
}

// work does something and returns what it cost the page's thread, in milliseconds of its own time.
func (v *visit) work(do func() error) (float64, error) {
	before, err := v.busy()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := v.busy()
	return 1000 * (after - before), err
}

// busy is how long the page's thread has worked, in seconds of its own time.
func (v *visit) busy() (float64, error) {
	all, err := chromedp.Call(v.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		return 0, err
	}
	for _, m := range all.Metrics {
		if m.Name == "TaskDuration" {
			return m.Value, nil
		}
	}
	return 0, errors.New("the browser does not say how long its thread has worked")
}

// grows compares, and wants no more than so much more.
func (u usage) grows(to usage, bytes float64, nodes int64) error {
	fmt.Printf("        memory %.1f MB and %d nodes, then %.1f MB and %d nodes\n",
		u.bytes/(1<<20), u.nodes, to.bytes/(1<<20), to.nodes)
	if to.bytes-u.bytes > bytes || to.nodes-u.nodes > nodes {
		return fmt.Errorf("the page has grown by more than %.0f MB or %d nodes",
			bytes/(1<<20), nodes)
	}
	return nil
}

// burst sends ten thousand orders, presses a button meanwhile, and wants all of them paid once.
func burst(v *visit) error {
	before, err := v.usage()
	if err != nil {
		return err
	}
	v.recording(true)
	earlier := v.felt
	text := ""
	err = v.changes(payments(10_000), func() error {
		id, err := v.click(`.group [data-act="burst"]`, "burst")
		if err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
		if err := v.shot("burst"); err != nil {
			return err
		}
		for range clicks {
			time.Sleep(time.Second)
			if _, err := v.click(`.group [data-act="again"]`, "again"); err != nil {
				return err
			}
		}
		text, err = v.told("burst", id)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("        %s\n", text[strings.LastIndex(text, "\n")+1:])
	if !strings.Contains(text, "10000 paid") {
		return errors.New(text)
	}
	if err := v.idle(); err != nil {
		return err
	}
	time.Sleep(4 * time.Second) // the last dots arrive
	v.recording(false)
	after, err := v.usage()
	if err != nil {
		return err
	}
	during := feeling{v.felt.Shown[len(earlier.Shown):], v.felt.Begun[len(earlier.Begun):]}
	return errors.Join(during.prompt(), before.grows(after, burstBytes, burstNodes),
		v.verdict("ok", "Nothing paid twice"))
}

//go:embed inject/replay.js
var replayScript []byte

// replayed shows the burst to a page of its own, frame by frame as it came, and nothing else runs:
// what the page's thread is busy with then is the page.
func replayed(v *visit) error {
	if len(v.frames) < 20 {
		return fmt.Errorf("only %d frames were recorded", len(v.frames))
	}
	tab, leave, err := v.tab(watchScript, replayScript)
	if err != nil {
		return err
	}
	defer leave()
	for i := range v.frames[1:] {
		v.frames[i+1].At -= v.frames[0].At
	}
	v.frames[0].At = 0
	text, err := json.Marshal(v.frames)
	if err != nil {
		return err
	}
	err = errors.Join(tab.do(chromedp.Navigate(v.base+"/?lang=en")),
		tab.until("the page", `document.readyState === "complete"`))
	if err != nil {
		return err
	}
	if _, err := eval[bool](tab, fmt.Sprintf("labcheck.frames = %s, true", text)); err != nil {
		return err
	}
	return judge(tab, len(v.frames))
}

// playback is how long the frames took, and each task of over 50 ms, in milliseconds.
type playback struct {
	Took float64   `json:"took"`
	Long []float64 `json:"long"`
}

// judge plays the frames several times, and judges the best, as others on the machine only make it
// worse.
func judge(tab *visit, frames int) error {
	_, err := chromedp.Call(tab.ctx, performance.Enable, performance.EnableParams{
		TimeDomain: performance.EnableTimeDomainThreadTicks,
	})
	if err != nil {
		return err
	}
	var costs []float64
	var once, last usage
	for n := range replays {
		round, err := tab.work(func() error {
			_, err := eval[bool](tab, fmt.Sprintf("labcheck.yardstick(%d)", yardsticks))
			return err
		})
		if err != nil {
			return err
		}
		var played playback
		cost, err := tab.work(func() (err error) {
			played, err = eval[playback](tab, "labcheck.replay(labcheck.frames)")
			return err
		})
		if err != nil {
			return err
		}
		round, cost = round/yardsticks, cost/float64(frames)
		fmt.Printf("        %d frames in %.1f s, %.1f ms of work each, which is %.1f rounds of %.2f ms; "+
			"%d tasks over 50 ms, half of them at most %.0f, the longest %.0f\n",
			frames, played.Took/1000, cost, cost/round, round, len(played.Long),
			share(played.Long, 0.5), share(played.Long, 1))
		costs = append(costs, cost/round)
		if last, err = tab.usage(); err != nil {
			return err
		}
		if n == 0 {
			once = last
		}
	}
	if slices.Min(costs) > frameCost {
		err = fmt.Errorf("the page is busy for too long: a frame may cost %d rounds", frameCost)
	}
	return errors.Join(err, once.grows(last, repeatBytes, repeatNodes))
}
