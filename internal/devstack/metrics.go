package devstack

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Metrics is a page of metrics, as a consumer serves it.
type Metrics string

// Sum adds the samples of one metric whose line contains every one of the labels, such as
// `outcome="paid"`. The error is for samples that cannot be read, and are left out.
func (m Metrics) Sum(name string, labels ...string) (sum float64, err error) {
	for line := range strings.Lines(string(m)) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		bare, _, _ := strings.Cut(sample, "{")
		if bare != name || !containsAll(sample, labels) {
			continue
		}
		number, parseErr := strconv.ParseFloat(value, 64)
		if parseErr != nil {
			err = errors.Join(err, fmt.Errorf("metric %s: %w", name, parseErr))
			continue
		}
		sum += number
	}
	return sum, err
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
