package devstack

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// ChildAttributes puts a child in a process group of its own, so that Ctrl-C in the terminal
// reaches payment-lab only, which then ends its children in order. A child that is not for the
// background is killed by the kernel when payment-lab ends in whatever way.
func ChildAttributes(background bool) *syscall.SysProcAttr {
	if background {
		return &syscall.SysProcAttr{Setsid: true}
	}
	// The kernel sends the signal when the thread that started the child ends. Go ends a thread
	// only with the whole process, as long as no goroutine is locked to it.
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startTime returns field 22 of /proc/PID/stat, the clock tick in which the process began,
// together with the boot that the ticks are counted from. A zombie counts as ended.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the program's name in parentheses and may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || bytes.Equal(fields[0], []byte("Z")) {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(boot)) + "/" + string(fields[19]), nil
}
