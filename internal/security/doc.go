// Package security tries the controls that SECURITY.md names, on servers of its own that have
// them turned on: a broker with users and rights (ACL 2.0), and a database with TLS. It holds
// tests only.
package security
