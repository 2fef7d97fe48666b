package deploy_test

import (
	"os"
	"regexp"
	"testing"
)

// What is checked in one place and not in the other is found too late.
func TestWorkflow_RunsWhatCIRuns(t *testing.T) {
	t.Parallel()
	targets := func(file string) map[string]bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, match := range regexp.MustCompile(`(?m)(?:^|- run: )make ([a-z-]+)`).
			FindAllStringSubmatch(string(text), -1) {
			found[match[1]] = true
		}
		return found
	}
	local, hosted := targets("../.ci/run"), targets("../.github/workflows/ci.yml")
	if len(local) == 0 {
		t.Error(".ci/run runs nothing")
	}
	for target := range local {
		if !hosted[target] {
			t.Errorf(".ci/run runs make %s, and the workflow does not", target)
		}
	}
}

// A tag of an action is whatever its owner says that it is today.
func TestWorkflow_ActionsArePinned(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	uses := regexp.MustCompile(`uses: (.*)`).FindAllStringSubmatch(string(text), -1)
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9.]+$`)
	if len(uses) == 0 {
		t.Error("no action is used")
	}
	for _, use := range uses {
		if !pinned.MatchString(use[1]) {
			t.Errorf("%s is not pinned by its commit", use[1])
		}
	}
}
