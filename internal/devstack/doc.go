// Package devstack starts the real servers that the project needs, RocketMQ, MariaDB or MySQL,
// and Redis, as ordinary processes: for the demo, for the tests and to be kept running. No
// container engine and no root is needed. Nothing stands in for a server, because what this
// project is about, such as two transactions inserting one key, is what stand-ins get wrong.
//
// A server is taken from an address in the environment (External), else from the PATH, else out
// of a Maven artifact. It gets free loopback ports, a private folder with its data,
// configuration and log, and random passwords. It counts as ready when it has proved that it
// works and that it is the one that was started: an open port shows neither.
//
// A foreground stack belongs to this process. Close ends it and removes its folder, and so does
// the kernel, on Linux, when this process is killed; what a crash leaves elsewhere is swept away
// by the next start. A background stack lives on, and Find finds it again: each process by its
// number together with the moment it began, so that nobody else's process is ever signalled.
//
// One thing is not private: the broker's port for a replica cannot be bound to the loopback
// address.
package devstack
