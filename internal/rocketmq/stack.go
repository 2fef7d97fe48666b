package rocketmq

// handlerStack is what a handler puts on the stack, in bytes, with a reserve.
const handlerStack = 10 << 10

// reserveStack makes the goroutine's stack large enough for a handler. The client starts one for
// each message, with a stack of two or four kilobytes. It would grow on the way down into the
// handler, two or three times, and each time all that lies on it would be copied; here it grows
// once, while it holds next to nothing. The argument and the result only keep the compiler from
// leaving the array out.
//
//go:noinline
func reserveStack(at uint8) byte {
	var room [handlerStack]byte
	return room[at]
}
