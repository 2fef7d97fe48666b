// Package ops is what an operator sees of a running program: its log, its metrics, its health.
//
// # Readiness
//
// A program is alive as long as it answers (/healthz) and ready when every required dependency
// is (/readyz). A dependency is what the program says of itself, reported when it changes or
// watched by a check; a request for /readyz asks nobody, so that a prober cannot add load to a
// database that is struggling. An optional dependency, such as a cache, is reported and does not
// make the program unready. Every dependency is down until it has been seen up.
//
// Readiness informs and routes; it must not be used to restart. A consumer that waits out an
// outage of the database is unready and is doing the right thing.
//
// # Metrics
//
// Names that begin with messaging_ follow OpenTelemetry's conventions for messaging, in the form
// that Prometheus gives them. No label holds anything that a message says: labels are words from
// short lists, and the number of words per label is bounded all the same.
//
// # The log
//
// A log line says what happened to which serial number. It never holds the body of a message, a
// password, a key or a data source name: code passes identifiers and errors to the logger, not
// requests, and secrets have a type that prints as "[redacted]". Nothing is left out unless a
// burst is set, because in a payment log the line that was left out is the one that is asked for;
// warnings and errors never are. The level can be changed while the program runs, on a loopback
// address only: PUT /debug/log-level with {"level":"debug"}.
package ops
