//go:build !linux

package devstack

import (
	"os/exec"
	"strconv"
	"strings"
)

// availableMemory is the machine's whole memory in bytes: other systems than Linux do not say
// what of it they would give to new programs.
func availableMemory() (uint64, error) {
	out, err := exec.Command("sysctl", "-n", "hw.memsize").Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
}
