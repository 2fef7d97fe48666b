package sim

import (
	"os"
	"strconv"
	"testing"
)

// Environment variables of Seeds.
const (
	// EnvSeed names the one seed to run, to see again what it did.
	EnvSeed = "SIM_SEED"
	// EnvRuns is how many seeds to run instead of the ordinary number.
	EnvRuns = "SIM_RUNS"
)

// Seeds are the seeds that a test runs: from first to before last.
func Seeds(t *testing.T, ordinary uint64) (first, last uint64) {
	t.Helper()
	read := func(name string) (uint64, bool) {
		text := os.Getenv(name)
		if text == "" {
			return 0, false
		}
		n, err := strconv.ParseUint(text, 10, 62)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n, true
	}
	if seed, ok := read(EnvSeed); ok {
		return seed, seed + 1
	}
	if runs, ok := read(EnvRuns); ok {
		return 0, max(runs, 1)
	}
	return 0, ordinary
}
