package lab

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var gap = regexp.MustCompile(`\{\w+\}`)

func gaps(text string) []string {
	found := gap.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func load(t *testing.T, language string) Catalogue {
	t.Helper()
	c, err := LoadCatalogue(language)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every language has the same keys, and each text the same gaps.
func TestCatalogue_Same(t *testing.T) {
	t.Parallel()
	first := load(t, Languages()[0])
	for _, language := range Languages()[1:] {
		other := load(t, language)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(other))); diff != "" {
			t.Errorf("keys of %s (-%s +%s):\n%s", language, Languages()[0], language, diff)
		}
		for key, text := range first {
			if diff := cmp.Diff(gaps(text), gaps(other[key])); diff != "" {
				t.Errorf("%s: gaps of %s:\n%s", language, key, diff)
			}
			if strings.TrimSpace(other[key]) == "" && text != "" {
				t.Errorf("%s: %s is empty", language, key)
			}
		}
	}
}

// Whatever the page, the scripts and the stage ask the catalogue for is in it, and nothing else.
func TestCatalogue_Whole(t *testing.T) {
	t.Parallel()
	c := load(t, "en")
	source := sources(t)
	quoted := regexp.MustCompile("[\"`]([a-z]+(?:\\.[a-zA-Z0-9_-]+)+)[\"`]")
	for _, match := range quoted.FindAllStringSubmatch(source, -1) {
		key := match[1]
		root, _, _ := strings.Cut(key, ".")
		if _, ok := c[key]; !ok && slices.Contains(roots(c), root) && !strings.HasSuffix(key, ".js") {
			t.Errorf("%s is asked for, and is not in the catalogue", key)
		}
	}
	for _, a := range Actions() {
		for _, key := range []string{"act." + a.ID + ".name", "act." + a.ID + ".what"} {
			if c[key] == "" {
				t.Errorf("%s is missing", key)
			}
		}
		if what := c["act."+a.ID+".what"]; strings.Count(what, ". ")+strings.Count(what, ": ") < 1 {
			t.Errorf("act.%s.what is not two sentences: %q", a.ID, what)
		}
	}
	for _, stop := range Tour() {
		for _, key := range []string{"tour." + stop.ID + ".title", "tour." + stop.ID + ".text"} {
			if c[key] == "" {
				t.Errorf("%s is missing", key)
			}
		}
		for _, try := range stop.Try {
			if c["act."+try+".name"] == "" {
				t.Errorf("the tour tries %s, which there is not", try)
			}
		}
	}
	for _, group := range Groups() {
		if c["group."+group] == "" {
			t.Errorf("group.%s is missing", group)
		}
	}
}

func roots(c Catalogue) []string {
	var all []string
	for key := range c {
		root, _, _ := strings.Cut(key, ".")
		all = append(all, root)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sources is the text of everything that asks the catalogue.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".json") {
			return err
		}
		text, err := assets.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("stage/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of the stage: %v", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func TestChooseLanguage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ asked, accepted, want string }{
		{"", "", "en"}, {"", "fr", "en"}, {"", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"", "en;q=0.5, zh;q=0.7", "zh"}, {"en", "zh", "en"}, {"zh", "en", "zh"}, {"xx", "zh", "zh"},
		{"", "zh;q=0", "en"}, {"", "zh;q=x", "en"}, {"", ",;q=,", "en"},
	} {
		if got := chooseLanguage(test.asked, test.accepted); got != test.want {
			t.Errorf("asked %q, accepted %q: %s, want %s", test.asked, test.accepted, got, test.want)
		}
	}
}

func TestCatalogue_Text(t *testing.T) {
	t.Parallel()
	if got := (Catalogue{"a": "b"}).Text("a"); got != "b" {
		t.Errorf("Text(a) = %q", got)
	}
	if got := (Catalogue{}).Text("a.b"); got != "a.b" {
		t.Errorf("a missing text shows as %q", got)
	}
}
