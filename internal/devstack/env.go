package devstack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Env returns the environment variables, as NAME=value, that let the project's programs and
// tests use this stack.
func (s *Stack) Env() []string {
	root, rootPassword, mysql := "root", s.secrets.mysqlRoot, s.Address(MySQL)
	if s.opts.External.mysqlGiven() {
		root, rootPassword, _ = splitLogin(s.opts.External.MySQL)
	}
	return []string{
		"PAYMENT_ROCKETMQ_NAME_SERVERS=" + s.Address(NameServer),
		"PAYMENT_ROCKETMQ_TOPIC=" + OrderTopic,
		"PAYMENT_ROCKETMQ_RESULT_TOPIC=" + ResultTopic,
		"PAYMENT_ROCKETMQ_GROUP=" + ConsumerGroup,
		"PAYMENT_MYSQL_ADDRESS=" + mysql,
		"PAYMENT_MYSQL_DATABASE=" + database,
		"PAYMENT_MYSQL_USER=" + appUser,
		"PAYMENT_MYSQL_PASSWORD=" + s.secrets.mysqlApp,
		"PAYMENT_MIGRATE_USER=" + migrateUser,
		"PAYMENT_MIGRATE_PASSWORD=" + s.secrets.mysqlMigrate,
		"PAYMENT_MIGRATE_APP_USER=" + appUser,
		"PAYMENT_MIGRATE_ARCHIVE_USER=" + archiveUser,
		"PAYMENT_ARCHIVE_USER=" + archiveUser,
		"PAYMENT_ARCHIVE_PASSWORD=" + s.secrets.mysqlArchive,
		"PAYMENT_REDIS_ADDRESS=" + s.Address(Redis),
		"PAYMENT_REDIS_PASSWORD=" + s.redisPassword(),
		"PAYMENT_CACHE_KEYS=k1:" + s.secrets.cacheKey,
		"PAYMENT_TEST_MYSQL_ROOT=" + root + ":" + rootPassword + "@tcp(" + mysql + ")/",
		"PAYMENT_TEST_BROKER=" + s.Address(Broker),
		"PAYMENT_TEST_LIB=" + s.files.lib(),
		"PAYMENT_LAB_HOME=" + s.opts.Home,
	}
}

// Variables is Env by name.
func (s *Stack) Variables() map[string]string {
	all := map[string]string{}
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		all[name] = value
	}
	return all
}

// Environ is the environment for a program that uses the stack: that of this process, with Env and
// more. Settings of the caller's own shell are left out, or they would change what the program
// does, or stop it.
func (s *Stack) Environ(more ...string) []string {
	without := settings()
	inherited := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(without, name)
	})
	return slices.Concat(inherited, s.Env(), more)
}

// settings are the names of the variables here that are settings of the project's programs.
func settings() []string {
	var names []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "PAYMENT_") && !strings.HasPrefix(name, "PAYMENT_LAB_") {
			names = append(names, name)
		}
	}
	return names
}

func (s *Stack) redisPassword() string {
	if s.opts.External.redisGiven() {
		_, password, _ := splitLogin(s.opts.External.Redis)
		return password
	}
	return s.secrets.redis
}

// WriteEnv writes Env as lines that a shell can source, into a file that only its owner may read.
func (s *Stack) WriteEnv(path string) error {
	var b strings.Builder
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		b.WriteString("export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n")
	}
	return writeFile(path, b.String())
}

// MySQLCommand is a command to paste that opens the database as its administrator.
func (s *Stack) MySQLCommand() string {
	client, err := s.mysqlClient()
	if err != nil {
		client = "mysql"
	}
	return fmt.Sprintf("%s --defaults-file=%s %s",
		client, filepath.Join(s.dir("mysql"), "client.cnf"), database)
}

// RedisCommand is a command to paste that opens the cache, on a machine that has redis-cli.
func (s *Stack) RedisCommand() string {
	host, port, _ := net.SplitHostPort(s.Address(Redis))
	return fmt.Sprintf(`REDISCLI_AUTH="$(cat %s)" redis-cli -h %s -p %s`,
		filepath.Join(s.dir("secrets"), "redis"), host, port)
}

// Account is a way into the stack's database.
type Account struct {
	Address, Database, User, Password string
	// AppUser is whom the consumer's rights are granted to.
	AppUser string
	// ArchiveUser is whom the archive's rights are granted to.
	ArchiveUser string
}

// Migrator is the account that owns the schema.
func (s *Stack) Migrator() Account {
	return Account{
		Address: s.Address(MySQL), Database: database, User: migrateUser,
		Password: s.secrets.mysqlMigrate, AppUser: appUser,
		ArchiveUser: archiveUser,
	}
}
