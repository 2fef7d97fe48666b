package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileBytes bounds the file, so that a wrong path cannot fill the memory.
const fileBytes = 1 << 20

// written is a value as it stands in the file.
type written struct {
	value string
	place string // file:line
}

// readFile fills l.file. It walks the document itself: viper lower-cases keys, merges those that
// differ only in case, forgets where they stood, and converts values before anybody asked.
func (l *loader) readFile() {
	l.file = map[string]written{}
	if l.in.Path == "" {
		return
	}
	content, err := readBounded(l.in.Path)
	if err != nil {
		l.problem("configuration file: %v", err)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return
	} else if err != nil {
		l.problem("%s", syntax(l.in.Path, err))
		return
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		l.problem("%s: there is more than one document in the file", l.in.Path)
		return
	}
	root := document.Content[0]
	switch {
	case isNull(root):
	case root.Kind == yaml.MappingNode:
		l.readSections(root)
	default:
		l.problem("%s: want sections with settings, such as \"mysql:\"", l.at(root))
	}
}

// readBounded reads the file, and says in plain words what is wrong with the path.
func readBounded(path string) ([]byte, error) {
	// A pipe would block the open, so what it is has to be known before.
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory; name a file in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	content, err := io.ReadAll(io.LimitReader(file, fileBytes+1))
	if err == nil && len(content) > fileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, fileBytes)
	}
	return content, err
}

// syntax turns the parser's "yaml: line 3: text" into "file:3: text". The line that the parser
// gives is the one before the mistake, or where the block with the mistake begins.
func syntax(path string, err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	place := path
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if line, what, ok := strings.Cut(rest, ": "); ok {
			place, text = path+":"+line, what
		}
	}
	if strings.Contains(text, "cannot start any token") {
		text += " (is it a tab? YAML indents with spaces)"
	}
	return fmt.Sprintf("%s: not valid YAML, here or below: %s", place, oneLine(text))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (l *loader) at(node *yaml.Node) string {
	return fmt.Sprintf("%s:%d", l.in.Path, node.Line)
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Tag == "!!null"
}

// pairs calls each for the pairs of a mapping whose key is a text that was not there before, in
// this case or in another.
func (l *loader) pairs(mapping *yaml.Node, under string, each func(key, value *yaml.Node)) {
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			l.problem("%s: the key is not a plain name", l.at(key))
			continue
		}
		folded := strings.ToLower(key.Value)
		if first, ok := seen[folded]; ok {
			l.problem("%s: key %s is given twice, the first time in line %d",
				l.at(key), quoted(under+key.Value), first.Line)
			continue
		}
		seen[folded] = key
		each(key, value)
	}
}

func (l *loader) readSections(root *yaml.Node) {
	if foreign := l.foreignSections(root); len(foreign) > 1 {
		l.problem("%s is a file of %s, not of %s: it has the sections %s", l.in.Path, l.other,
			l.program, strings.Join(foreign, ", "))
		return
	}
	l.pairs(root, "", func(key, value *yaml.Node) {
		section := key.Value
		switch {
		case !hasSection(l.table, section):
			l.unknownKey(key, section)
		case isNull(value): // everything in it is commented out
		case value.Kind != yaml.MappingNode:
			l.problem("%s: %s is a section; write its settings below it, indented",
				l.at(value), section)
		default:
			l.pairs(value, section+".", func(key, value *yaml.Node) {
				l.readSetting(section+"."+key.Value, key, value)
			})
		}
	})
}

// foreignSections are those that only the other program has. Somebody who gives its file to this
// one need not be told of each setting in it.
func (l *loader) foreignSections(root *yaml.Node) (names []string) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		name := root.Content[i].Value
		if !hasSection(l.table, name) && hasSection(l.otherTable, name) {
			names = append(names, name)
		}
	}
	return names
}

func (l *loader) readSetting(path string, key, value *yaml.Node) {
	s, ok := find(l.table, path)
	switch {
	case !ok:
		l.unknownKey(key, path)
		return
	case s.secret:
		l.problem("%s: %s is a secret and has no place in this file; set %s, or name a file "+
			"that holds it with %s", l.at(key), path, s.variable(), path+fileSuffix)
		return
	}
	text, problem := textOf(s, value)
	if problem != "" {
		l.bad[path] = true
		l.problem("%s: %s %s", l.at(value), path, problem)
		return
	}
	l.file[path] = written{value: text, place: l.at(value)}
}

// textOf gives the text of a value as it was written, or what is wrong with it.
func textOf(s setting, value *yaml.Node) (text, problem string) {
	switch {
	case isNull(value):
		return "", "has no value; give one or remove the line"
	case value.Kind == yaml.ScalarNode:
		return value.Value, ""
	case value.Kind == yaml.SequenceNode && s.list:
		items := make([]string, len(value.Content))
		for i, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return "", "is not a list of plain values"
			}
			items[i] = item.Value
		}
		return strings.Join(items, ","), ""
	default:
		return "", "is not a plain value; give " + s.accepts
	}
}

// unknownKey reports a key that the program does not have.
func (l *loader) unknownKey(node *yaml.Node, key string) {
	_, others := find(l.otherTable, key)
	section, name, dotted := strings.Cut(key, ".")
	switch {
	case others:
		l.problem("%s: %s is a setting of %s, not of %s", l.at(node), key, l.other, l.program)
	case dotted && node.Value == key:
		l.problem("%s: unknown key %s; write it as section %s: with %s: below it, indented",
			l.at(node), quoted(key), section, name)
	default:
		l.problem("%s: unknown key %s%s", l.at(node), quoted(key),
			cmp.Or(suggest(key, l.keys(dotted)), contents(l.table, section)))
	}
}

// keys lists what a key of the file could have been meant to be.
func (l *loader) keys(withName bool) []string {
	var all []string
	for _, s := range l.table {
		if withName {
			all = append(all, s.key)
		} else {
			all = append(all, s.section())
		}
	}
	return all
}

func find(table []setting, key string) (setting, bool) {
	for _, s := range table {
		if s.key == key {
			return s, true
		}
	}
	return setting{}, false
}

func hasSection(table []setting, section string) bool {
	for _, s := range table {
		if s.section() == section {
			return true
		}
	}
	return false
}
