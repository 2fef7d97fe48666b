package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names in the database server. The accounts are for every host ('%'), as grants have to name it.
const (
	database    = "payment"
	appUser     = "payment_app"
	migrateUser = "payment_migrate"
	archiveUser = "payment_archive"
)

// mysqlSocket is where the server listens beside its port, in its data folder.
const mysqlSocket = "mysql.sock"

// mysqlPrograms are MariaDB or MySQL, from the PATH or out of the artifact.
type mysqlPrograms struct {
	server, client string
	// basedir is the artifact's folder; programs on the PATH know theirs.
	basedir string
	// oracle says that the server is MySQL, which takes other options than MariaDB.
	oracle bool
}

// errNoMySQL says that the programs are neither on the PATH nor brought by Maven (yet).
var errNoMySQL = errors.New("there is no MariaDB for this system")

func (s *Stack) mysqlPrograms(ctx context.Context) (mysqlPrograms, error) {
	client, err := s.mysqlClient()
	if err != nil {
		return mysqlPrograms{}, err
	}
	for _, name := range []string{"mariadbd", "mysqld"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		version, err := exec.CommandContext(ctx, path, "--no-defaults", "--version").Output()
		if err != nil {
			return mysqlPrograms{}, fmt.Errorf("%s does not run: %w", path, err)
		}
		oracle := !strings.Contains(string(version), "MariaDB")
		return mysqlPrograms{server: path, client: client, oracle: oracle}, nil
	}
	if s.files.mariadb == "" {
		return mysqlPrograms{}, fmt.Errorf("%w: %s", errNoMySQL, remedyMySQL())
	}
	server := filepath.Join(s.files.mariadb, "bin", "mariadbd")
	return mysqlPrograms{server: server, client: client, basedir: s.files.mariadb}, nil
}

func (s *Stack) mysqlClient() (string, error) {
	for _, name := range []string{"mariadb", "mysql"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	if s.files.mariadb != "" {
		return filepath.Join(s.files.mariadb, "bin", "mariadb"), nil
	}
	return "", fmt.Errorf("%w: %s", errNoMySQL, remedyMySQL())
}

func (s *Stack) mysql(ctx context.Context) (*server, error) {
	programs, err := s.mysqlPrograms(ctx)
	if err != nil {
		return nil, err
	}
	dir := s.dir("mysql")
	files := map[string]string{
		"my.cnf":     s.mysqlConfig(programs),
		"accounts":   strings.Join(s.accounts("root", s.secrets.mysqlRoot), "\n") + "\n",
		"client.cnf": clientConfig(address(loopback, s.ports.MySQL), "root", s.secrets.mysqlRoot),
	}
	for name, content := range files {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, err
	}
	config := "--defaults-file=" + filepath.Join(dir, "my.cnf")
	addr := address(loopback, s.ports.MySQL)
	return &server{
		name: MySQL, addr: addr,
		program: program{
			path: programs.server,
			// The server runs the file at every start, before it listens.
			args: []string{config, "--init-file=" + filepath.Join(dir, "accounts")},
			dir:  dir, log: s.logFile("mysql"),
		},
		prepare: func(ctx context.Context) error { return s.bootstrap(ctx, programs, config) },
		ready: func(ctx context.Context) error {
			return mysqlReady(ctx, programs.client, addr, dir)
		},
	}, nil
}

func (s *Stack) mysqlConfig(programs mysqlPrograms) string {
	dir := s.dir("mysql")
	settings := []setting{
		{"datadir", filepath.Join(dir, "data")},
		// Of its own: a server that starts removes what looks like its temporary tables there, and
		// in /tmp those may be of another server that is at work.
		{"tmpdir", filepath.Join(dir, "tmp")},
		{"pid-file", filepath.Join(dir, "mysqld.pid")},
		// Relative to datadir, because a socket's path has room for about 100 bytes only.
		{"socket", mysqlSocket},
		{"bind-address", loopback},
		{"port", strconv.Itoa(s.ports.MySQL)},
		{"skip-name-resolve", "ON"},
		{"character-set-server", "utf8mb4"},
		{"default-time-zone", "+00:00"},
		{"sql-mode", "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"},
		// A commit that was answered is on the disk.
		{"innodb-flush-log-at-trx-commit", "1"},
		{"sync-binlog", "1"},
		{"max-allowed-packet", "16M"},
		{"max-connections", "500"},
		{"innodb-buffer-pool-size", "128M"},
		{"performance-schema", "OFF"},
	}
	if programs.oracle {
		settings = append(settings, setting{"mysqlx", "OFF"},
			setting{"innodb-redo-log-capacity", "64M"}, setting{"disable-log-bin", "ON"})
	} else {
		settings = append(settings, setting{"skip-ssl", "ON"},
			setting{"innodb-log-file-size", "64M"})
	}
	if programs.basedir != "" {
		settings = append(settings, setting{"basedir", programs.basedir},
			setting{"lc-messages-dir", filepath.Join(programs.basedir, "share")})
	}
	if os.Geteuid() == 0 {
		settings = append(settings, setting{"user", "root"})
	}
	for _, key := range slices.Sorted(maps.Keys(s.opts.MySQL)) {
		settings = append(settings, setting{key, s.opts.MySQL[key]})
	}
	return optionFile("mysqld", settings)
}

// optionFile quotes every value, as folders may hold spaces and '#'.
func optionFile(section string, settings []setting) string {
	var b strings.Builder
	b.WriteString("[" + section + "]\n")
	for _, one := range settings {
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(one.value)
		b.WriteString(one.key + ` = "` + value + "\"\n")
	}
	return b.String()
}

// clientConfig keeps the password off the command line, where everybody on the machine reads it.
func clientConfig(addr, user, password string) string {
	host, port, _ := net.SplitHostPort(addr)
	return optionFile("client", []setting{
		{"host", host}, {"port", port}, {"protocol", "tcp"},
		{"user", user}, {"password", password},
		{"loose-skip-ssl", "ON"}, // unknown to MySQL's client, which then ignores it
	})
}

// accounts are the statements that make the database and its users, as often as they are run.
func (s *Stack) accounts(admin, password string) []string {
	statements := []string{
		"CREATE DATABASE IF NOT EXISTS " + database + " CHARACTER SET utf8mb4;",
	}
	if !s.opts.External.mysqlGiven() {
		statements = append(statements, "DROP USER IF EXISTS ''@'localhost', 'root'@'::1';")
		statements = append(statements, account(admin, "127.0.0.1", password)...)
		statements = append(statements, account(admin, "localhost", password)...)
		statements = append(statements,
			"GRANT ALL ON *.* TO '"+admin+"'@'127.0.0.1' WITH GRANT OPTION;")
	}
	statements = append(statements, account(appUser, "%", s.secrets.mysqlApp)...)
	statements = append(statements, account(migrateUser, "%", s.secrets.mysqlMigrate)...)
	statements = append(statements, account(archiveUser, "%", s.secrets.mysqlArchive)...)
	return append(statements, "GRANT ALL ON "+database+".* TO '"+migrateUser+
		"'@'%' WITH GRANT OPTION;")
}

func account(user, host, password string) []string {
	who := "'" + user + "'@'" + host + "' IDENTIFIED BY '" + password + "';"
	return []string{"CREATE USER IF NOT EXISTS " + who, "ALTER USER " + who}
}

// bootstrap makes the server's own tables in an empty folder. A marker is written last, so that
// a bootstrap that was cut short is done again.
func (s *Stack) bootstrap(ctx context.Context, programs mysqlPrograms, config string) error {
	dir := s.dir("mysql")
	data, marker := filepath.Join(dir, "data"), filepath.Join(dir, "bootstrapped")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	run := program{dir: dir, log: s.logFile("mysql-bootstrap")}
	switch {
	case programs.oracle:
		run.path, run.args = programs.server, []string{config, "--initialize-insecure"}
	case programs.basedir != "":
		run.path, run.args = programs.server, []string{config, "--bootstrap"}
		run.input = filepath.Join(dir, "bootstrap.sql")
		if err := writeBootstrap(programs.basedir, run.input); err != nil {
			return err
		}
	default:
		install, err := exec.LookPath("mariadb-install-db")
		if err != nil {
			return errors.New("mariadbd is on the PATH but mariadb-install-db is not: " + remedyMySQL())
		}
		run.path, run.args = install, []string{
			config, "--skip-test-db", "--auth-root-authentication-method=normal",
		}
	}
	if err := run.run(ctx); err != nil {
		return fmt.Errorf("prepare the database's folder: %w", err)
	}
	return writeFile(marker, "")
}

// writeBootstrap joins what the artifact's own installation script would, without its help texts
// and reporting views.
func writeBootstrap(basedir, to string) error {
	sql := "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=null;\n"
	for _, name := range []string{
		"mariadb_system_tables.sql", "mariadb_performance_tables.sql", "mariadb_system_tables_data.sql",
	} {
		content, err := os.ReadFile(filepath.Join(basedir, "share", name))
		if err != nil {
			return err
		}
		sql += string(content)
	}
	return writeFile(to, sql)
}

// mysqlReady asks the server for its folder with our random password. An external server, for
// which folder is not ours, only has to let us in.
func mysqlReady(ctx context.Context, client, addr, dir string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err // cheaper than to let the client find out
	}
	_ = conn.Close()
	out, err := mysqlQuery(ctx, client, dir, "select @@datadir")
	if err != nil {
		return err
	}
	if want := filepath.Join(dir, "data"); !sameFolder(out, want) {
		return fmt.Errorf("%s belongs to another server: its folder is %q", addr, out)
	}
	return nil
}

func mysqlQuery(ctx context.Context, client, dir, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, client, "--defaults-file="+filepath.Join(dir, "client.cnf"),
		"--batch", "--skip-column-names", "--execute", sql)
	cmd.SysProcAttr = ChildAttributes(false)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", client, err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
