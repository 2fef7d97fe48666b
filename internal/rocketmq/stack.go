package rocketmq

// handlerStack is what a handler puts on the stack, in bytes, with a reserve.
const handlerStack = 10 << 10

// reserveStack makes the goroutine's stack large enough for a handler. The client starts one for
// each message, with a stack of two or four kilobytes. It would grow on the way down into the
// handler, two or three times, and each time all that lies on it would be copied; here it grows
// once, while it holds next to nothing. A function has room for all of its variables before it
// begins, so the array need not be used, nor cleared. The compiler does not know that at is
// negative, and would leave the array out.
//
//go:noinline
func reserveStack(at int) byte {
	if at < 0 {
		return 0
	}
	var room [handlerStack]byte
	return room[at]
}
