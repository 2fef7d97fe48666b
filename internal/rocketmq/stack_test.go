package rocketmq

import "testing"

// BenchmarkReserveStack is a deep call in a new goroutine, as there is one for each message, with
// and without a reserve.
func BenchmarkReserveStack(b *testing.B) {
	for name, call := range map[string]func() int{
		"Without": func() int { return deep(16) },
		"With":    func() int { return int(reserveStack(-1)) + deep(16) },
	} {
		b.Run(name, func(b *testing.B) {
			done := make(chan int)
			for b.Loop() {
				go func() { done <- call() }()
				<-done
			}
		})
	}
}

// deep takes half a kilobyte of stack for each level.
func deep(n int) int {
	var room [512]byte
	room[n] = 1
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(room[n])
}
