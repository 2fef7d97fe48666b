package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"example.com/payment/internal/remoting"
)

// External are addresses of servers that run already, for machines that have their own. The
// stack never starts, stops or signals them; it makes its topics, database and users there.
type External struct {
	// MySQL is USER:PASSWORD@HOST:PORT of an administrator.
	MySQL string
	// Redis is HOST:PORT or :PASSWORD@HOST:PORT.
	Redis string
	// NameServer and Broker are HOST:PORT and come together.
	NameServer, Broker string
}

// ExternalFromEnv reads PAYMENT_LAB_MYSQL, PAYMENT_LAB_REDIS, PAYMENT_LAB_NAME_SERVER and
// PAYMENT_LAB_BROKER. They are not the variables that the stack hands out: a shell that has
// sourced those of a running stack must not turn the next stack into that one.
func ExternalFromEnv(getenv func(string) string) (External, error) {
	e := External{
		MySQL:      getenv("PAYMENT_LAB_MYSQL"),
		Redis:      getenv("PAYMENT_LAB_REDIS"),
		NameServer: getenv("PAYMENT_LAB_NAME_SERVER"),
		Broker:     getenv("PAYMENT_LAB_BROKER"),
	}
	return e, e.check()
}

func (e External) check() error {
	if (e.NameServer == "") != (e.Broker == "") {
		return errors.New("PAYMENT_LAB_NAME_SERVER and PAYMENT_LAB_BROKER come together")
	}
	if user, _, _ := splitLogin(e.MySQL); e.MySQL != "" && user == "" {
		return errors.New("PAYMENT_LAB_MYSQL must be USER:PASSWORD@HOST:PORT")
	}
	_, _, mysql := splitLogin(e.MySQL)
	_, _, redis := splitLogin(e.Redis)
	for name, addr := range map[string]string{
		"MYSQL": mysql, "REDIS": redis, "NAME_SERVER": e.NameServer, "BROKER": e.Broker,
	} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			return fmt.Errorf("PAYMENT_LAB_%s: the address must be HOST:PORT: %w", name, err)
		}
	}
	return nil
}

// servers are those that are given, to be looked at only.
func (e External) servers() []*server {
	_, _, mysql := splitLogin(e.MySQL)
	_, _, redis := splitLogin(e.Redis)
	var given []*server
	for name, addr := range map[Server]string{
		NameServer: e.NameServer, Broker: e.Broker, MySQL: mysql, Redis: redis,
	} {
		if addr != "" {
			given = append(given, &server{name: name, addr: addr, external: true})
		}
	}
	return given
}

func (e External) mysqlGiven() bool    { return e.MySQL != "" }
func (e External) redisGiven() bool    { return e.Redis != "" }
func (e External) rocketmqGiven() bool { return e.Broker != "" }

// splitLogin divides USER:PASSWORD@ADDRESS; the password may hold any character.
func splitLogin(s string) (user, password, addr string) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", "", s
	}
	user, password, _ = strings.Cut(s[:at], ":")
	return user, password, s[at+1:]
}

func (s *Stack) externalMySQL(context.Context) (*server, error) {
	client, err := s.mysqlClient()
	if err != nil {
		return nil, err
	}
	user, password, addr := splitLogin(s.opts.External.MySQL)
	dir := s.dir("mysql")
	err = writeFile(filepath.Join(dir, "client.cnf"), clientConfig(addr, user, password))
	return &server{
		name: MySQL, addr: addr, external: true,
		ready: func(ctx context.Context) error {
			_, err := mysqlQuery(ctx, client, dir, strings.Join(s.accounts(user, password), "\n"))
			return err
		},
	}, err
}

func (s *Stack) externalRedis(context.Context) (*server, error) {
	_, password, addr := splitLogin(s.opts.External.Redis)
	return &server{
		name: Redis, addr: addr, external: true,
		ready: func(ctx context.Context) error { return redisReady(ctx, addr, password, "") },
	}, nil
}

func (s *Stack) externalNameServer(context.Context) (*server, error) {
	addr := s.opts.External.NameServer
	return &server{
		name: NameServer, addr: addr, external: true,
		ready: func(ctx context.Context) error {
			_, err := remoting.Properties(ctx, addr, remoting.NameServerConfig)
			return err
		},
	}, nil
}

func (s *Stack) externalBroker(context.Context) (*server, error) {
	return &server{
		name: Broker, addr: s.opts.External.Broker, external: true, ready: s.topicsReady,
	}, nil
}
