package bench

// Usage is what one process has used. Memory is of the moment or, where it says so, the most that
// the process ever held; the others only grow.
type Usage struct {
	CPUSeconds   float64 `json:"cpu_seconds"`
	BytesWritten int64   `json:"bytes_written"`
	MemoryBytes  int64   `json:"memory_bytes"`
	PeakBytes    int64   `json:"peak_memory_bytes"`
}

// since is what was used after an earlier reading; memory stays as it is now.
func (u Usage) since(before Usage) Usage {
	u.CPUSeconds -= before.CPUSeconds
	u.BytesWritten -= before.BytesWritten
	return u
}

// per divides what grows.
func (u Usage) per(share float64) Usage {
	u.CPUSeconds /= share
	u.BytesWritten = int64(float64(u.BytesWritten) / share)
	return u
}
