package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"
)

// axeFile is the accessibility checker, below the folder of this program. It is no part of the
// project: npm fetches it, in the version and with the checksum that package-lock.json says.
const axeFile = "node_modules/axe-core/axe.min.js"

// fetchAxe returns the checker's script.
func fetchAxe(ctx context.Context, folder string) (string, error) {
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline", "--loglevel=error")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci in %s, which fetches axe-core: %w: %s", folder, err, out)
	}
	script, err := os.ReadFile(filepath.Join(folder, axeFile))
	return string(script), err
}

// finding is what axe says.
type finding struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// runAxe asks for violations only, and for nothing to be loaded. What has been moving stands still,
// or contrasts would be measured halfway between two colours.
const runAxe = `(async () => {
  for (const a of document.getAnimations()) a.finish();
  const all = await axe.run(document, { resultTypes: ["violations"], preload: false });
  return JSON.stringify(all.violations.filter((v) => ["serious", "critical"].includes(v.impact)));
})()`

// accessible wants the page as it is to have no serious problem for people who see, hear or move
// in other ways.
func (v *visit) accessible(where string) error {
	if loaded, err := eval[bool](v, "window.axe !== undefined"); err != nil {
		return err
	} else if !loaded {
		if _, err := eval[bool](v, v.opts.axe+"\n;true"); err != nil {
			return fmt.Errorf("axe: %w", err)
		}
	}
	text, err := eval[string](v, runAxe)
	if err != nil {
		return fmt.Errorf("axe: %w", err)
	}
	v.looks++
	var found []finding
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return err
	}
	var problems []error
	for _, f := range found {
		for _, node := range f.Nodes[:min(len(f.Nodes), 3)] {
			problems = append(problems, fmt.Errorf("%s: %s (%s): %s: %s: %s", where, f.ID, f.Impact,
				f.Help, node.HTML, strings.Join(strings.Fields(node.Summary), " ")))
		}
	}
	return errors.Join(problems...)
}

// forEverybody looks at the page in both languages, light and dark, on a desk and on a phone, with
// what can be opened on it.
func forEverybody(v *visit) error {
	var problems []error
	for _, language := range []string{"en", "zh"} {
		for _, dark := range []bool{false, true} {
			for _, size := range []screen{desktop, phone} {
				where := fmt.Sprintf("%s, dark %t, %d pixels", language, dark, size.width)
				problems = append(problems, v.dark(dark), v.size(size), v.load(language),
					v.everything(where))
			}
		}
	}
	fmt.Printf("        axe has looked %d times\n", v.looks)
	return errors.Join(append(problems, v.dark(false), v.size(desktop), v.load("en"))...)
}

// everything looks at the page, at what the audit says and the first stop of the tour, and at a
// story.
func (v *visit) everything(where string) error {
	const fits = "document.documentElement.scrollWidth <= innerWidth"
	err := errors.Join(
		v.until("results", `document.querySelector("#results tbody tr") !== null`),
		v.until("a page that fits "+where, fits),
		v.accessible(where),
		v.do(chromedp.Click("#verdict", chromedp.NodeVisible)),
		v.do(chromedp.Click("#tour-open", chromedp.NodeVisible)),
		v.accessible(where+", with the tour"),
		v.until("a tour that fits "+where, fits))
	if err != nil {
		return err
	}
	_, err = eval[bool](v, `document.querySelector("#results tbody button.serial").click(), true`)
	return errors.Join(err, v.until("the story", openDialog), v.accessible(where+", with a story"))
}
