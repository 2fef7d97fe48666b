// Package lab is a page in the browser that shows the running system, and lets whoever looks at it
// break that system on purpose. Everything on it was observed: result messages as callers get them,
// the consumers' metrics, the brokers' offsets, rows of the database, the verdict of the audit.
//
// A State holds what was observed last, with a bound on everything; whoever observes writes into
// it. A Server hands it to pages as a stream of frames, and carries out what a page asks for with a
// Stage, which is the running system. The package knows neither a server's driver nor devstack:
// package stage is the real system, and tests have another one.
//
// The page is for the one person who started it. It listens on the loopback address, wants the
// token that was printed with its address, and refuses names that are not the loopback's and
// requests that another site has caused.
package lab
