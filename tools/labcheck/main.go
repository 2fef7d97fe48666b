// Labcheck visits the lab's page with a real browser: it presses each button with the mouse, and
// wants what the button announces, on the page and in the database. It walks the guided tour by
// keyboard, opens stories and the quarantine, presses everything in random order, and looks at the
// page in both languages, light and dark, on a desk and on a phone, with axe-core. It records a
// burst, plays it to the page again, and measures what the page is busy with. A message on the
// browser's console is a failure, and so is a request that leaves this machine. With -shots it
// leaves pictures.
//
// It starts the lab itself, with real servers, and needs Chromium or Chrome, and npm, which fetches
// axe-core. It is a module of its own, so that the programs do not depend on what drives a browser.
//
// usage: labcheck [-shots FOLDER] [-press 3m] [-seed N] ROOT, the folder that holds
// build/payment-lab
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limits of a visit.
const (
	limit    = 30 * time.Minute
	starting = 3 * time.Minute
	ending   = time.Minute
)

// options are how to visit.
type options struct {
	root, shots, only string
	press             time.Duration // in random order
	seed              uint64
	axe               string // the script
}

func main() {
	var opts options
	flag.StringVar(&opts.shots, "shots", "", "leave pictures of the page in this `FOLDER`")
	flag.DurationVar(&opts.press, "press", 3*time.Minute, "how long to press in random order")
	flag.Uint64Var(&opts.seed, "seed", 0, "press in the order of this `NUMBER`; by chance if 0")
	flag.StringVar(&opts.only, "only", "", "only the checks whose names match this `PATTERN`")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	opts.root = flag.Arg(0)
	if opts.seed == 0 {
		opts.seed = rand.Uint64N(1_000_000) + 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "labcheck:", err)
		os.Exit(1)
	}
}

// browsers are the names of what can be driven.
func browsers() []string {
	return []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
		"headless_shell", "headless-shell",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
	}
}

// missing says what this machine lacks, before anything is started.
func missing() error {
	var lacks []error
	if !slices.ContainsFunc(browsers(), func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		lacks = append(lacks, errors.New("there is no Chromium and no Chrome, which shows the page: "+
			"apt-get install chromium, or https://www.google.com/chrome"))
	}
	if _, err := exec.LookPath("npm"); err != nil {
		lacks = append(lacks, errors.New("there is no npm, which fetches axe-core, the check of "+
			"accessibility: apt-get install npm, or Node.js from https://nodejs.org"))
	}
	return errors.Join(lacks...)
}

func run(ctx context.Context, opts options) (err error) {
	if err := missing(); err != nil {
		return err
	}
	if opts.axe, err = fetchAxe(ctx, filepath.Join(opts.root, "tools", "labcheck")); err != nil {
		return err
	}
	if opts.shots != "" {
		if err := os.MkdirAll(opts.shots, 0o755); err != nil {
			return err
		}
	}
	l, err := startLab(ctx, opts.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.end()) }()
	v, leave, err := open(ctx, l, opts)
	if err != nil {
		return err
	}
	defer leave()
	return v.all(ctx)
}

// all makes the checks one after the other.
func (v *visit) all(ctx context.Context) error {
	only, err := regexp.Compile(v.opts.only)
	if err != nil {
		return err
	}
	begin, made, failed := time.Now(), 0, 0
	for _, c := range checks() {
		if !only.MatchString(c.name) {
			continue
		}
		made++
		begin := time.Now()
		err := c.run(v)
		err = errors.Join(err, v.complaints())
		word := "ok    "
		if err != nil {
			word = "FAILED"
			failed++
		}
		fmt.Printf("%s  %5.1f s  %s\n", word, time.Since(begin).Seconds(), c.name)
		if err != nil {
			fmt.Println("        " + strings.ReplaceAll(err.Error(), "\n", "\n        "))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, made)
	}
	fmt.Printf("labcheck: %d checks, all ok, in %.0f s\n", made, time.Since(begin).Seconds())
	return nil
}
