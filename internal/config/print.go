package config

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Source says where a value comes from.
type Source string

// The sources, the weakest first. A secret is from the environment or from its file.
const (
	FromDefault     Source = "default"
	FromFile        Source = "file"
	FromEnvironment Source = "environment"
	FromFlag        Source = "flag"
	FromSecretFile  Source = "secret file"
)

// Setting is a setting as it is in force. The value of a secret is "[redacted]", or nothing
// when it is not set.
type Setting struct {
	Key      string `json:"key"`
	Variable string `json:"variable"`
	Value    string `json:"value"`
	Source   Source `json:"source"`
}

// Settings are all settings of a program, in the order of its file.
type Settings []Setting

// Print writes the settings, one a line, as "text", or as an array in "json".
func (s Settings) Print(w io.Writer, format string) error {
	switch format {
	case "text":
		return s.printText(w)
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(s)
	default:
		return fmt.Errorf("unknown output format %q: give text or json", format)
	}
}

func (s Settings) printText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SETTING\tVALUE\tSOURCE") // Flush reports what failed
	for _, setting := range s {
		value := setting.Value
		if value == "" {
			value = `""`
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", setting.Key, value, setting.Source)
	}
	return table.Flush()
}
