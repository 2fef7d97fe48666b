package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

const redacted = "[redacted]"

// secretBytes bounds the file of a secret, so that a wrong path cannot fill the memory.
const secretBytes = 64 << 10

// Secret is a text that must not be printed. Every way of printing it gives "[redacted]", also
// for a secret that is not set. Only Reveal gives the text.
//
// The text is behind a pointer because fmt reaches into unexported fields without asking for
// methods: there it finds an address.
type Secret struct {
	text *string
}

var (
	_ fmt.Formatter          = Secret{}
	_ fmt.Stringer           = Secret{}
	_ json.Marshaler         = Secret{}
	_ encoding.TextMarshaler = Secret{}
)

// NewSecret makes a secret of a text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal gives the text, for the one call that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet says whether there is a text at all.
func (s Secret) IsSet() bool { return s.Reveal() != "" }

// Equal says whether two secrets hold the same text. It is for tests, and takes no care of time.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String gives "[redacted]".
func (s Secret) String() string { return redacted }

// Format writes "[redacted]" for every verb.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

// MarshalText gives "[redacted]", to YAML and to loggers too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON gives "[redacted]" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// readSecret reads the file of a secret. Errors name the file and never what is in it.
func readSecret(path string) (string, error) {
	// A pipe would block the open, so what it is has to be known before.
	if before, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot read the secret's file: %w", err)
	} else if !before.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("cannot read the secret's file: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot read the secret's file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("everybody on this machine has access to %s (mode %04o); "+
			"run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	content, err := io.ReadAll(io.LimitReader(file, secretBytes+1))
	if err != nil {
		return "", fmt.Errorf("cannot read the secret's file: %w", err)
	}
	if len(content) > secretBytes {
		return "", fmt.Errorf("%s is larger than %d bytes, too large for a secret",
			path, secretBytes)
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s holds no secret, it is empty", path)
	}
	return text, nil
}
