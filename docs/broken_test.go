package docs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const whole = "# One\n\nText with [`F`](a.go) and `code`.\n\n" +
	"## Two\n\n- an item,\n  which goes on\n- another\n\n| a | b |\n|---|---|\n| `x|y` | 2 |\n\n```sh\nmake all\n```\n"

// TestSkeleton breaks a translation in each way that it must not be broken in, and changes what
// may change.
func TestSkeleton(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, new string
		alike    bool
	}{
		"Words":        {"Text with", "文字", true},
		"HeadingLevel": {"## Two", "# Two", false},
		"HeadingGone":  {"## Two", "Two", false},
		"Code":         {"make all", "make al", false},
		"CodeLanguage": {"```sh", "```", false},
		"LinkTarget":   {"a.go", "b.go", false},
		"LinkGone":     {"[`F`](a.go)", "`F`", false},
		"Row":          {"| `x|y` | 2 |\n", "", false},
		"Cell":         {"| `x|y` | 2 |", "| `x|y` | 2 | 3 |", false},
		"Item":         {"- another\n", "", false},
		"Name":         {"`code`", "`kode`", false},
	} {
		changed := strings.Replace(whole, c.old, c.new, 1)
		diff := cmp.Diff(parse(whole).skeleton(), parse(changed).skeleton())
		if alike := diff == ""; alike != c.alike {
			t.Errorf("%s: alike %t, want %t\n%s", name, alike, c.alike, diff)
		}
	}
	if translation := strings.Replace(whole, "a.go", "docs/guide.zh-CN.md", 1); cmp.Diff(
		parse(strings.Replace(whole, "a.go", "docs/guide.md", 1)).skeleton(),
		parse(translation).skeleton()) != "" {
		t.Error("a translation may not link to translations")
	}
}

// TestFollow gives links that lead nowhere.
func TestFollow(t *testing.T) {
	t.Parallel()
	for target, c := range map[string]struct {
		text string
		ok   bool
	}{
		"../internal/idem/guard.go":        {"`Guard.decide`", true},
		"../internal/idem/./guard.go":      {"`idem.New`", true},
		"../internal/idem/../idem/idem.go": {"`ErrRaced`", true},
		"../internal/idem":                 {"`Guard`", true},
		"https://example.com/nowhere":      {"elsewhere", true},
		"../DESIGN.md#the-crash-table":     {"it", true},
		"#guide":                           {"here", true},
		"../internal/idem/batch.go":        {"`Guard.decide`", false},
		"../internal/idem/hold.go":         {"`Hold.Undo`", false},
		"../internal/idem/gone.go":         {"it", false},
		"../DESIGN.md#the-crush-table":     {"it", false},
	} {
		err := follow("docs/guide.md", link{c.text, target})
		if ok := err == nil; ok != c.ok {
			t.Errorf("[%s](%s): %v", c.text, target, err)
		}
	}
	for text, ok := range map[string]bool{
		"make demo": true, "make dema": false, "build/payment-consumer why PAY_100": true,
		"build/payment-consumer wy PAY_100": false, "internal/idem": true, "internal/idm": false,
		"go test -run Solutions ./docs/exercises": true, "go test ./docs/exercise": false,
		"go test -run 'Solutions|Gone' ./docs/exercises": false,
	} {
		err := checkMake(read(t, "Makefile"), text)
		if err == nil {
			err = checkCommands(t, text)
		}
		if err == nil {
			err = errors.Join(checkFiles(text), checkTests(t, text))
		}
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
