// Package migrations holds the database schema as numbered SQL files, and the rights of the
// consumer's database user. The program that applies them is payment-consumer migrate.
package migrations

import "embed"

// Files holds the numbered migrations and grants.sql.
//
//go:embed *.sql
var Files embed.FS
