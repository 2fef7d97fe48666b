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

// Limits of a burst. They are generous, as the machine has other things to do: on two idle cores
// the longest task takes a third of this.
const (
	clicks  = 5 // during the burst
	replays = 3
	// frameCost is the thread's own time for a frame, in milliseconds, with all that it moves and
	// draws. Nobody else's work counts in it, and it is what is judged in the first place.
	frameCost = 60
	// longTask is how long half of the tasks over 50 ms may take, in milliseconds. The greatest says
	// more about a busy machine than about the page, and is only told.
	longTask = 200
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

// judge plays the frames several times, and judges the best, as others on the machine only make it
// worse.
func judge(tab *visit, frames int) error {
	_, err := chromedp.Call(tab.ctx, performance.Enable, performance.EnableParams{
		TimeDomain: performance.EnableTimeDomainThreadTicks,
	})
	if err != nil {
		return err
	}
	var tasks, costs []float64
	var once, last usage
	for n := range replays {
		before, err := tab.busy()
		if err != nil {
			return err
		}
		played, err := eval[struct {
			Took float64   `json:"took"`
			Long []float64 `json:"long"`
		}](tab, "labcheck.replay(labcheck.frames)")
		if err != nil {
			return err
		}
		after, err := tab.busy()
		if err != nil {
			return err
		}
		sum, cost := 0.0, 1000*(after-before)/float64(frames)
		for _, task := range played.Long {
			sum += task
		}
		fmt.Printf("        %d frames in %.1f s, %.1f ms of work each; "+
			"%d tasks over 50 ms, %.0f ms in all, at most %.0f\n",
			frames, played.Took/1000, cost, len(played.Long), sum, share(played.Long, 1))
		tasks, costs = append(tasks, share(played.Long, 0.5)), append(costs, cost)
		if last, err = tab.usage(); err != nil {
			return err
		}
		if n == 0 {
			once = last
		}
	}
	if slices.Min(costs) > frameCost || slices.Min(tasks) > longTask {
		err = fmt.Errorf("the page is busy for too long: limits are %d ms of work for a frame, "+
			"and %d ms for half of the long tasks", frameCost, longTask)
	}
	return errors.Join(err, once.grows(last, repeatBytes, repeatNodes))
}
