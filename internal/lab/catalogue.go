package lab

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var assets embed.FS

// Languages are those that there is a catalogue of. The first one is used when none is asked for.
func Languages() []string { return []string{"en", "zh"} }

// Catalogue has the words of the page in one language, by their keys. Gaps are written {name}.
type Catalogue map[string]string

// LoadCatalogue reads the catalogue of a language.
func LoadCatalogue(language string) (Catalogue, error) {
	text, err := assets.ReadFile("assets/i18n/" + language + ".json")
	if err != nil {
		return nil, err
	}
	var c Catalogue
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", language, err)
	}
	return c, nil
}

// Text returns the words of a key. One that is missing shows as its key, for a test to find.
func (c Catalogue) Text(key string) string {
	if text, ok := c[key]; ok {
		return text
	}
	return key
}

// chooseLanguage takes the one that was asked for, or what the browser's Accept-Language prefers of
// those that there are.
func chooseLanguage(asked, accepted string) string {
	languages := Languages()
	if slices.Contains(languages, asked) {
		return asked
	}
	best, weight := languages[0], 0.0
	for entry := range strings.SplitSeq(accepted, ",") {
		tag, parameter, _ := strings.Cut(strings.TrimSpace(entry), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		q := 1.0
		if value, found := strings.CutPrefix(strings.TrimSpace(parameter), "q="); found {
			q, _ = strconv.ParseFloat(value, 64) // what is no number is not wanted
		}
		if slices.Contains(languages, primary) && q > weight {
			best, weight = primary, q
		}
	}
	return best
}
