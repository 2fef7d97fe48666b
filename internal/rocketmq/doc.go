// Package rocketmq is the only package that talks to RocketMQ. It wraps the official Go client,
// whose defaults lose, repeat and leak messages, so that the rest of the program meets none of it:
//
//   - [Consumer] hands over one message per call, redelivers on anything but a clear
//     acknowledgement, survives a panicking handler, starts a new group at the first message, and
//     drains before it stops. It also notices when the broker has deleted messages that the group
//     never read, which the client passes over with a line in its log.
//   - [Producer] calls a message sent only when the broker has said so, and says of every other
//     result whether the message may be stored all the same.
//   - [Results] sends result messages in batches; [ResultReader] reads them.
//   - [Admin] asks and tells name servers and brokers what the client cannot: it speaks the
//     remoting protocol itself, for a handful of commands, and checks every answer.
//   - [QuietClientLogs] takes the client's log, which prints whole messages, and lets no content
//     through. Call it once, before the first client is made.
//
// The client is used without its interceptors, tracing, namespaces and TLS: the first acknowledges
// messages that nobody saw, the second panics, the third changes the caller's messages, and the
// last verifies no certificate. Where a link needs TLS, put a proxy beside the process.
//
// Two limits cannot be wrapped. The client decompresses zlib bodies before anybody sees their size,
// so the broker's maxMessageSize must be small (a body grows at most a thousandfold). And its
// bookkeeping goroutines outlive a stopped client for up to a day: a process makes few clients
// and keeps them.
package rocketmq
