package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/chromedp/chromedp"
)

// press clicks on the button of an action, waits until it has done its work, and returns what the
// page says has happened.
func (v *visit) press(action string) (string, error) {
	id, err := v.click(button(action), action)
	if err != nil {
		return "", err
	}
	return v.told(action, id)
}

// button selects the button of an action.
func button(action string) string { return fmt.Sprintf(`.group [data-act=%q]`, action) }

// enabled is true when what this selects can be pressed.
func enabled(selector string) string {
	return fmt.Sprintf("!document.querySelector(%q).disabled", selector)
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
	if err := v.until(action+" to be possible", enabled(selector)); err != nil {
		return 0, err
	}
	if err := v.do(chromedp.Click(selector, chromedp.NodeVisible)); err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	begun := fmt.Sprintf(newest+" > %d", action, before)
	if err := v.until(action+" to begin", begun); err != nil {
		return 0, err
	}
	if err := v.feel(); err != nil {
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

// feeling is how long after a click a button showed that it was pressed, and the lab said on the
// page that it had begun; in milliseconds, one for each click.
type feeling struct {
	Shown []float64 `json:"shown"`
	Begun []float64 `json:"begun"`
}

// feel takes what the page has measured since the last time.
func (v *visit) feel() error {
	f, err := eval[feeling](v,
		`({ shown: labcheck.shown.splice(0), begun: labcheck.begun.splice(0) })`)
	v.felt.Shown = append(v.felt.Shown, f.Shown...)
	v.felt.Begun = append(v.felt.Begun, f.Begun...)
	return err
}

// prompt wants most clicks to be shown, and half of them answered, within a second: the machine may
// be at something else, and this is no measurement of it.
func (f feeling) prompt() error {
	fmt.Printf("        pressed, a button showed it after %s ms, and the lab began after %s ms\n",
		spread(f.Shown), spread(f.Begun))
	if len(f.Shown) == 0 || len(f.Begun) == 0 {
		return errors.New("nothing was measured")
	}
	if share(f.Shown, 0.8) > 1000 || share(f.Begun, 0.5) > 1000 {
		return errors.New("that is more than a second")
	}
	return nil
}

// share is the value that this share of all does not exceed.
func share(all []float64, of float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(of*float64(len(sorted)-1)+0.5)]
}

func spread(all []float64) string {
	return fmt.Sprintf("%.0f (median of %d), at most %.0f", share(all, 0.5), len(all), share(all, 1))
}
