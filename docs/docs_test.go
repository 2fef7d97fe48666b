// Package docs_test holds the documents against the code, and each translation against its
// original.
package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// root is the folder of the repository, as go test starts in this one.
const root = ".."

// translated ends the names of the translations.
const translated = ".zh-CN.md"

// originals are the documents that have a translation. In these, what is named is checked too.
func originals() []string {
	return []string{"README.md", "docs/guide.md", "docs/make-it-yours.md"}
}

func translationOf(name string) string { return strings.TrimSuffix(name, ".md") + translated }

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTranslations wants each pair to have the same headings, code, links, tables, lists and names.
func TestTranslations(t *testing.T) {
	t.Parallel()
	for _, name := range originals() {
		original, translation := parse(read(t, name)), parse(read(t, translationOf(name)))
		if diff := cmp.Diff(original.skeleton(), translation.skeleton()); diff != "" {
			t.Errorf("%s (-) and its translation (+) differ:\n%s", name, diff)
		}
		if len(original.headings) == 0 || len(original.code) == 0 || len(original.links) == 0 {
			t.Errorf("%s: nothing was compared: %+v", name, original)
		}
	}
}

// TestLinks wants every relative link of every document to lead somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		for _, l := range parse(read(t, name)).links {
			if err := follow(name, l); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// documents are all texts in Markdown that the project keeps.
func documents(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			names = append(names, filepath.ToSlash(strings.TrimPrefix(name, root+"/")))
		}
	}
	if len(names) < 2*len(originals()) {
		t.Fatalf("only %d documents: %q", len(names), names)
	}
	return names
}

// follow returns what is wrong with a link: its file, its heading, or the name that it promises.
func follow(from string, l link) error {
	file, anchor, ok := l.relative(from)
	if !ok {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		if info, statErr := os.Stat(filepath.Join(root, file)); statErr == nil && info.IsDir() {
			return nil
		}
		return fmt.Errorf("link to %s: %w", l.target, err)
	}
	if anchor != "" && !slices.Contains(parse(string(text)).anchors(), anchor) {
		return fmt.Errorf("link to %s: no such heading", l.target)
	}
	if name, isCode := strings.CutPrefix(l.text, "`"); isCode && path.Ext(file) == ".go" {
		return declared(file, string(text), strings.TrimSuffix(name, "`"))
	}
	return nil
}

// declared returns an error unless a Go file declares a name: F, T.Method, or either behind the
// name of the package.
func declared(file, text, name string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	bare := strings.TrimPrefix(name, parsed.Name.Name+".")
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if found := d.Name.Name; bare == receiver(d)+found {
				return nil
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.Name == bare {
						return nil
					}
				case *ast.ValueSpec:
					if slices.ContainsFunc(s.Names, func(n *ast.Ident) bool { return n.Name == bare }) {
						return nil
					}
				}
			}
		}
	}
	return fmt.Errorf("%s does not declare %s", file, name)
}

// receiver is the type of a method with a dot behind it, and empty for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	for {
		switch k := kind.(type) {
		case *ast.StarExpr:
			kind = k.X
		case *ast.IndexExpr:
			kind = k.X
		case *ast.IndexListExpr:
			kind = k.X
		case *ast.Ident:
			return k.Name + "."
		default:
			return "?."
		}
	}
}

var (
	makeShape    = regexp.MustCompile(`(?m)^\s*make ([a-z-]+)`)
	commandShape = regexp.MustCompile(`build/(payment-consumer|order-producer|payment-lab) ([a-z-]+)`)
	pathShape    = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`)
	testShape    = regexp.MustCompile(`go test .*?(\./[\w./-]+)`)
	runShape     = regexp.MustCompile(`-run '?([\w|]+)'? \./([\w/-]+)`)
)

// TestNames wants what the documents name beside links to exist: targets of make, commands of the
// programs, files, and packages to test.
func TestNames(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	for _, original := range originals() {
		for _, name := range []string{original, translationOf(original)} {
			d := parse(read(t, name))
			for _, text := range slices.Concat(d.code, d.spans) {
				if err := errors.Join(
					checkMake(makefile, text), checkCommands(t, text), checkFiles(text),
					checkTests(t, text),
				); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

func checkMake(makefile, text string) error {
	for _, m := range makeShape.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			return fmt.Errorf("there is no make %s", m[1])
		}
	}
	return nil
}

func checkCommands(t *testing.T, text string) error {
	for _, m := range commandShape.FindAllStringSubmatch(text, -1) {
		if m[2] == "completion" {
			continue // of the library that makes the commands
		}
		files, err := filepath.Glob(filepath.Join(root, "cmd", m[1], "*.go"))
		if err != nil {
			return err
		}
		files = append(files, filepath.Join(root, "internal", "cli", "command.go")) // what they share
		use := regexp.MustCompile(`Use:\s+"` + m[2] + `[ "]`)
		if !slices.ContainsFunc(files, func(file string) bool {
			return use.MatchString(read(t, strings.TrimPrefix(file, root+"/")))
		}) {
			return fmt.Errorf("%s has no command %s", m[1], m[2])
		}
	}
	return nil
}

// checkFiles looks for the files that a piece of code names, if it names nothing else, and for the
// packages that it tests. What a run writes need not be there.
func checkFiles(text string) error {
	var names []string
	if pathShape.MatchString(text) && !strings.Contains(text, "...") {
		names = append(names, text)
	}
	for _, m := range testShape.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	for _, name := range names {
		first, _, _ := strings.Cut(strings.TrimPrefix(name, "./"), "/")
		if info, err := os.Stat(filepath.Join(root, first)); err != nil || !info.IsDir() ||
			slices.Contains(written(), name) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkTests looks for the tests that a command runs.
func checkTests(t *testing.T, text string) error {
	for _, m := range runShape.FindAllStringSubmatch(text, -1) {
		files, err := filepath.Glob(filepath.Join(root, m[2], "*_test.go"))
		if err != nil {
			return err
		}
		for _, name := range strings.Split(m[1], "|") {
			test := regexp.MustCompile(`(?m)^func (Test|Example)\w*`)
			if !slices.ContainsFunc(files, func(file string) bool {
				tests := test.FindAllString(read(t, strings.TrimPrefix(file, root+"/")), -1)
				return slices.ContainsFunc(tests, func(f string) bool { return strings.Contains(f, name) })
			}) {
				return fmt.Errorf("no test of %s has the name %s", m[2], name)
			}
		}
	}
	return nil
}

// written are files that a command makes.
func written() []string { return []string{".stack/env"} }
