package devstack

import (
	"io"
	"os"
	"slices"
	"strings"
)

// tailBytes is how much of a log's end is looked at.
const tailBytes = 64 << 10

// lastLines returns the last n lines of a log for a message to people, so a file that cannot be
// read is no error. What Java's logging says of itself is left out.
func lastLines(path string, n int) string {
	lines := slices.DeleteFunc(tail(path), func(line string) bool {
		return strings.Contains(line, "ch.qos.logback") || strings.TrimSpace(line) == ""
	})
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func tail(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return []string{"(no log: " + err.Error() + ")"}
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = f.Seek(-tailBytes, io.SeekEnd)
	}
	content, _ := io.ReadAll(f)
	text := strings.TrimRight(string(content), "\n")
	if text == "" {
		return []string{"(its log is empty)"}
	}
	return strings.Split(text, "\n")
}
