//go:build exercise

package exercises

import (
	"strconv"
	"testing"
)

// TestExercise checks what answers.go says. It is behind a build tag, because it fails until a
// reader has been at work.
func TestExercise(t *testing.T) {
	for _, e := range All() {
		t.Run(strconv.Itoa(e.Number), func(t *testing.T) {
			if err := e.Check(Mine()); err != nil {
				t.Errorf("exercise %d, %s:\n  %v", e.Number, e.Title, err)
			}
		})
	}
}
