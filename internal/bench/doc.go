// Package bench measures what exactly-once costs: on real servers, with the real program, against
// programs that do less. What it reports are ratios within one run on one machine, as absolute
// figures wander.
//
// The programs (Variant) are processes of their own, started anew for each run, and all read the
// same messages: the topic is filled beforehand, and every run is a new consumer group, which
// starts at the first message. So no producer takes part in a measurement of throughput. Runs
// that are compared take turns, A B A B; each round gives a ratio, and the median of these counts.
//
// The throughput of a run is the slope of the program's own count of messages, from the first time
// that it is seen above zero to the last message or the end of the run's time.
//
// Latency is measured with an open loop: messages are due at fixed times, whatever became of the
// ones before, and the time of each counts from when it was due until its COMMIT was answered.
// A server that stands still for a second so delays all messages of that second, instead of one.
//
// What differs from the program as it runs in production is in the patches: small ones, applied to
// copies of the sources. So the program needs no switch for any of this.
package bench
