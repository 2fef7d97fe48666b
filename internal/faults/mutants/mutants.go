// Package mutants checks the checks: it builds consumers that each make one deliberate mistake,
// and wants the fault suite to notice every one of them. A suite that has never failed proves
// little.
//
// A mutant is a patch file under patches. Its first lines say what the mistake is, which cases
// should notice it, and, for a mistake that the schema would not allow, what the administrator
// has to change in the database first.
package mutants

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed patches/*.patch
var patches embed.FS

// Mutant is one deliberate mistake.
type Mutant struct {
	// Name is the patch's file name without its ending, and Title the mistake in words.
	Name, Title string
	// Cases are the IDs of the cases that should notice, in the order in which they are tried.
	Cases []string
	// Setup changes the database before anything starts.
	Setup string
	// Patch changes the sources; empty for the control, which is the program as it is.
	Patch string
}

// Control is no mutant: the program as it is, in every case that a mutant is tried in. What
// fails there has not been caught, but is broken.
func Control(all []Mutant) Mutant {
	c := Mutant{Name: "control", Title: "the program as it is"}
	for _, m := range all {
		c.Cases = append(c.Cases, m.Cases...)
	}
	slices.Sort(c.Cases)
	c.Cases = slices.Compact(c.Cases)
	return c
}

// All returns every mutant, in the order of their names.
func All() ([]Mutant, error) {
	files, err := fs.Glob(patches, "patches/*.patch")
	if err != nil {
		return nil, err
	}
	all := make([]Mutant, len(files))
	for i, file := range files {
		text, err := patches.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(path.Base(file), ".patch")
		if all[i], err = parse(name, string(text)); err != nil {
			return nil, fmt.Errorf("mutant %s: %w", name, err)
		}
	}
	return all, nil
}

// parse reads a patch file: fields as in a mail, then the patch. A field goes on in the lines
// behind it that begin with a space.
func parse(name, text string) (Mutant, error) {
	head, patch, found := strings.Cut(text, "\ndiff --git ")
	if !found {
		return Mutant{}, fmt.Errorf("there is no patch in it")
	}
	m := Mutant{Name: name, Patch: "diff --git " + patch}
	fields := strings.ReplaceAll(head, "\n  ", " ")
	for line := range strings.Lines(fields) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field {
		case "":
		case "Title":
			m.Title = value
		case "Cases":
			m.Cases = strings.Fields(value)
		case "Setup":
			m.Setup = value
		default:
			return Mutant{}, fmt.Errorf("there is no field %q", field)
		}
	}
	if m.Title == "" || len(m.Cases) == 0 {
		return Mutant{}, fmt.Errorf("it has no title or no cases")
	}
	return m, nil
}

// Select returns the mutants with these names, all of them if there are none.
func Select(all []Mutant, names ...string) ([]Mutant, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Mutant
	for _, name := range names {
		i := slices.IndexFunc(all, func(m Mutant) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
