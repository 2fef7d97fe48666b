package devstack

import (
	"slices"
	"testing"
)

// TestStack_Environ: a shell's own settings do not reach programs that use the stack, and what
// says where the servers' files are does.
func TestStack_Environ(t *testing.T) {
	t.Setenv("PAYMENT_LOG_LEVEL", "silent")
	t.Setenv("PAYMENT_TYPO", "1")
	t.Setenv("PAYMENT_LAB_MYSQL", "")
	s := &Stack{opts: Options{Home: "somewhere"}}
	got := s.Environ("MORE=1")
	for _, variable := range []string{
		"PAYMENT_LAB_MYSQL=", "PAYMENT_LAB_HOME=somewhere", "PAYMENT_MYSQL_USER=payment_app", "MORE=1",
	} {
		if !slices.Contains(got, variable) {
			t.Errorf("the environment has no %q", variable)
		}
	}
	for _, variable := range []string{"PAYMENT_LOG_LEVEL=silent", "PAYMENT_TYPO=1"} {
		if slices.Contains(got, variable) {
			t.Errorf("the environment has %q", variable)
		}
	}
}
