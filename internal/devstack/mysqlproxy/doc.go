// Package mysqlproxy stands between a client and a MySQL or MariaDB server, sees the statements
// and the errors that pass, and breaks what it is told to: the connection before a COMMIT or
// after it, the answer, or a statement.
//
// It understands just enough of the protocol for that. Statements are those that travel as text
// (COM_QUERY); prepared ones, the login, and packets of 16 MiB and more are passed on. A client
// that asks for TLS or compression is cut off, because its statements could not be seen, and
// rules that silently never fire are worse than a connection that fails.
package mysqlproxy
