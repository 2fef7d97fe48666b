package devstack

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// availableMemory is what the kernel would give to new programs, in bytes, or what is left under
// the limit of this container if that is less.
func availableMemory() (uint64, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemAvailable:" {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 64)
			return min(kilobytes<<10, containerMemory()), err
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

func containerMemory() uint64 {
	limit, errLimit := readNumber("/sys/fs/cgroup/memory.max")
	used, errUsed := readNumber("/sys/fs/cgroup/memory.current")
	if errLimit != nil || errUsed != nil || used > limit {
		return ^uint64(0) // no limit, or not a kind of container that says so
	}
	return limit - used
}

func readNumber(path string) (uint64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
}
