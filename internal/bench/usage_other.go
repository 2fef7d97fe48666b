//go:build !linux

package bench

// usageOf knows nothing of a process: this system has no /proc.
func usageOf(int) (Usage, error) { return Usage{}, nil }

// memory is not known here.
func memory() int64 { return 0 }
