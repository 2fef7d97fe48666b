package config

import (
	"slices"
	"strings"
)

// suggest gives "; did you mean X?" for the known name that is nearest to an unknown one, or
// nothing when none is near.
func suggest(unknown string, known []string) string {
	unknown = plain(unknown)
	best, least := "", 2+len(unknown)/8
	for _, name := range slices.Sorted(slices.Values(known)) {
		folded := plain(name)
		// A forgotten unit is the likeliest slip, and may be a long one.
		if strings.HasPrefix(folded, unknown) {
			return "; did you mean " + name + "?"
		}
		if d := distance(unknown, folded); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// plain is a key or a variable without what all of its kind have in common.
func plain(name string) string {
	return strings.TrimPrefix(strings.ToLower(name), strings.ToLower(prefix))
}

// contents lists the settings of a section, for a name that is near to none of them: who writes
// mysql.host finds mysql.address in it. It is empty for an unknown section.
func contents(table []setting, section string) string {
	var names []string
	for _, s := range table {
		if s.section() == section {
			names = append(names, s.name())
		}
	}
	if names == nil {
		return ""
	}
	return "; the settings of " + section + " are " + strings.Join(names, ", ")
}

// distance counts the bytes to insert, remove or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
