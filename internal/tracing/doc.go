// Package tracing follows one order from its producer through the consumer to its result, with
// OpenTelemetry. It is the only package that knows OpenTelemetry; the others ask it for spans.
//
// # The trace of an order
//
// The producer's span "send TOPIC" begins the trace, and its W3C context travels as the message's
// property traceparent, which survives redeliveries. Each delivery is a span "process TOPIC". The
// group commit that decides it is shared with other deliveries: its span "commit batch" belongs to
// the trace of the first of them that is sampled, has links to all that are, and each of those has
// a link to it. Under it are the three steps, and under them each statement and each round trip to
// the cache. The result carries the context of its span "send TOPIC" on to its reader.
//
// # What it costs
//
// Off, which is the default, nothing is made: a context without a sampled span yields none, and a
// nil *Span takes every call. On, a trace that is not sampled costs two look-ups in a context for
// each statement. Spans are sent in the background; those that do not fit are dropped, and nothing
// ever waits for the collector.
//
// Spans hold identifiers, statements without values, and kinds of errors: never a body, a value or
// an error's text, which may quote one.
package tracing
