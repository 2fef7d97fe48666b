// Package sim runs consumers of a message queue over a cache and a store that they share, one
// call at a time, in an order and with failures that a seed decides: the same seed makes the same
// run. It knows of interleavings that no rig with real servers and no test with free goroutines
// meets often, and can show each of them again.
//
// A Sim is a broker and a scheduler. It delivers messages to its Nodes, which stand for processes,
// until each message is acknowledged. All that a node does to the world outside goes through
// Node.Call, or through the gates Cache, Store and Guard, and waits there. Whenever nothing in
// the whole program can go on by itself, the scheduler picks one of the waiting calls, or a
// delivery, and one Fate for it. It is the scheduler that carries the call out, so the
// checks in a call see a world that stands still.
//
// After some failures the weather is fair, so every run ends. One that does not has found a hang.
//
// Three things make a run repeatable. One node's goroutine moves at a time, and what it sets
// off arrives at calls that are sorted before the next is picked. The program runs in a bubble of
// testing/synctest, where time stands still until the scheduler sleeps. And nothing that depends
// on the order of a map or the length of a backoff is part of the trace.
package sim
