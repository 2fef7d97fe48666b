package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticks is the kernel's unit of CPU time for programs, on every architecture that Go runs on.
const ticks = 100

// usageOf reads what a process has used. Bytes are those that it caused to be written to storage.
func usageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The second field is the program's name in parentheses and may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return Usage{}, fmt.Errorf("process %d: /proc has %d fields", pid, len(fields))
	}
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	io, err := numbers(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return Usage{}, err
	}
	status, err := numbers(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	return Usage{
		CPUSeconds: (user + system) / ticks, BytesWritten: io["write_bytes"],
		MemoryBytes: status["VmRSS"] << 10, PeakBytes: status["VmHWM"] << 10,
	}, nil
}

// numbers reads lines such as "VmRSS:	  1234 kB".
func numbers(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if number, err := strconv.ParseInt(value, 10, 64); err == nil {
			found[name] = number
		}
	}
	return found, nil
}

// memory is what the machine has, in bytes.
func memory() int64 {
	info, err := numbers("/proc/meminfo")
	if err != nil {
		return 0
	}
	return info["MemTotal"] << 10
}
