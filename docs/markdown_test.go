package docs_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// document is what can be checked of a text in Markdown, as far as this project's texts use it.
type document struct {
	headings []heading
	code     []string // blocks, with what stands behind the fence
	links    []link
	tables   []string // "rows x columns"
	items    []int    // of lists, by section
	spans    []string // pieces of code within lines
}

type heading struct {
	level int
	text  string
}

type link struct{ text, target string }

var (
	linkShape    = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)
	spanShape    = regexp.MustCompile("`([^`]+)`")
	headingShape = regexp.MustCompile(`^(#{1,6}) (.+)$`)
	itemShape    = regexp.MustCompile(`^\s*([-*]|\d+\.) `)
)

func parse(text string) document {
	d := document{items: []int{0}}
	var prose, block, table []string
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "|") && !fenced {
			table = append(table, line)
			prose = append(prose, line)
			continue
		}
		if table != nil {
			d.tables = append(d.tables, shapeOf(table))
			table = nil
		}
		switch h := headingShape.FindStringSubmatch(line); {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			block = append(block, line)
			if fenced {
				d.code = append(d.code, strings.Join(block, "\n"))
				block = nil
			}
			fenced = !fenced
		case fenced:
			block = append(block, line)
		case h != nil:
			d.headings = append(d.headings, heading{len(h[1]), h[2]})
			d.items = append(d.items, 0)
			prose = append(prose, line)
		default:
			if itemShape.MatchString(line) {
				d.items[len(d.items)-1]++
			}
			prose = append(prose, line)
		}
	}
	if table != nil {
		d.tables = append(d.tables, shapeOf(table))
	}
	all := strings.Join(prose, "\n")
	for _, l := range linkShape.FindAllStringSubmatch(all, -1) {
		d.links = append(d.links, link{strings.Join(strings.Fields(l[1]), " "), l[2]})
	}
	for _, s := range spanShape.FindAllStringSubmatch(all, -1) {
		d.spans = append(d.spans, strings.Join(strings.Fields(s[1]), " "))
	}
	return d
}

// shapeOf counts the rows of a table and the cells of each.
func shapeOf(rows []string) string {
	shape := fmt.Sprintf("%d rows of", len(rows))
	for _, row := range rows {
		cells := strings.ReplaceAll(row, `\|`, "")
		cells = spanShape.ReplaceAllString(cells, "") // a bar within code is no border
		shape += fmt.Sprint(" ", strings.Count(cells, "|")-1)
	}
	return shape
}

// skeleton is what a text and its translation must have alike.
type skeleton struct {
	Levels []int
	Code   []string
	Links  []string
	Tables []string
	Items  []int
	Spans  []string
}

func (d document) skeleton() skeleton {
	s := skeleton{Code: d.code, Tables: d.tables, Items: d.items}
	for _, h := range d.headings {
		s.Levels = append(s.Levels, h.level)
	}
	for _, l := range d.links {
		if target, _, _ := strings.Cut(l.target, "#"); target != "" {
			// A translation refers to translations where there are some.
			s.Links = append(s.Links, strings.Replace(target, translated, ".md", 1))
		}
	}
	slices.Sort(s.Links) // sentences have other orders in other languages
	s.Spans = slices.Sorted(slices.Values(d.spans))
	s.Spans = slices.Compact(s.Spans)
	return s
}

// anchors are the names by which the headings can be linked to, as GitHub makes them.
func (d document) anchors() []string {
	names := make([]string, len(d.headings))
	for i, h := range d.headings {
		names[i] = strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, h.text)
	}
	return names
}

// relative is a link's target as a path from the folder of its document; ok is false for one that
// leads elsewhere.
func (l link) relative(from string) (file, anchor string, ok bool) {
	if strings.Contains(l.target, "://") || strings.HasPrefix(l.target, "mailto:") {
		return "", "", false
	}
	file, anchor, _ = strings.Cut(l.target, "#")
	if file == "" {
		return from, anchor, true
	}
	return path.Join(path.Dir(from), file), anchor, true
}
