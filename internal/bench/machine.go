package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine is what was measured on.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	System      string `json:"system"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	Database    string `json:"database"`
	// SyncMicros is the median of a write of 4 KiB and its fsync in the servers' folder: what
	// every durable commit waits for.
	SyncMicros float64 `json:"sync_us"`
	// Revision is that of the sources, with "-dirty" when they were changed.
	Revision string    `json:"revision"`
	Measured time.Time `json:"measured"`
}

// String describes the machine in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%d cores of %s, %.0f GiB, %s %s, %s, %s, fsync %.0f µs", m.Cores, m.CPU,
		float64(m.MemoryBytes)/(1<<30), m.System, m.Kernel, m.Database, m.Go, m.SyncMicros)
}

// machine looks at where this runs. What it cannot find out stays empty.
func (r *rig) machine(ctx context.Context) Machine {
	m := Machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), MemoryBytes: memory(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		SyncMicros: syncMicros(r.stack.Data()), Measured: time.Now().UTC().Truncate(time.Second),
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if version, err := r.stack.Query(ctx, "SELECT VERSION()"); err == nil {
		m.Database = version
	}
	describe := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty")
	describe.Dir = r.Root
	if out, err := describe.Output(); err == nil {
		m.Revision = strings.TrimSpace(string(out))
	}
	return m
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return ""
}

// syncMicros writes and syncs a small file, many times.
func syncMicros(folder string) float64 {
	file, err := os.CreateTemp(folder, "sync-")
	if err != nil {
		return 0
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(filepath.Join(folder, filepath.Base(file.Name())))
	}()
	var took []float64
	for n := range 200 {
		begin := time.Now()
		if _, err := file.WriteAt(make([]byte, 4096), int64(n)*4096); err != nil {
			return 0
		}
		if err := file.Sync(); err != nil {
			return 0
		}
		took = append(took, float64(time.Since(begin).Microseconds()))
	}
	return median(took)
}
