// Package mysql keeps the truth: the payments store behind the guard, the quarantine, the
// schema's migrations, and the audit. It is the only package that knows a database driver; it
// uses gorm for connections and transactions and plain SQL for the statements, which run on
// MySQL 8.4, MariaDB 10.11 and MariaDB 11.4.
//
// Three habits hold everywhere in it. One exported method opens and closes one transaction. A
// transaction that saw an error gets no further statement and no commit, because the server may
// have undone only a part of it. And errors are told apart in one place, classify.
package mysql
