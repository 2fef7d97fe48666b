package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// respTimeout bounds one conversation with Redis.
const respTimeout = 10 * time.Second

func (s *Stack) redis(context.Context) (*server, error) {
	path, err := s.redisProgram()
	if err != nil {
		return nil, err
	}
	dir := s.dir("redis")
	config := filepath.Join(dir, "redis.conf")
	if err := writeFile(config, fmt.Sprintf(`# Only a cache: nothing is kept over a restart.
bind %s
port %d
dir "%s"
requirepass %s
save ""
appendonly no
maxmemory 256mb
maxmemory-policy allkeys-lru
daemonize no
`, loopback, s.ports.Redis, dir, s.secrets.redis)); err != nil {
		return nil, err
	}
	addr := address(loopback, s.ports.Redis)
	return &server{
		name: Redis, addr: addr,
		program: program{path: path, args: []string{config}, dir: dir, log: s.logFile("redis")},
		ready:   func(ctx context.Context) error { return redisReady(ctx, addr, s.secrets.redis, dir) },
	}, nil
}

func (s *Stack) redisProgram() (string, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(s.files.redis); err == nil {
		return path, nil
	}
	return "", errors.New("there is no Redis program for this system: " + remedyRedis())
}

// redisReady checks that the server knows our random password and works in our folder; for a
// server that is not ours, dir is empty.
func redisReady(ctx context.Context, addr, password, dir string) error {
	conn, lines, err := dialRedis(ctx, addr, password)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if dir == "" {
		_, err = resp(conn, lines, "PING")
		return err
	}
	// The answer is an array: *2, $3, dir, $n, FOLDER.
	if _, err := resp(conn, lines, "CONFIG", "GET", "dir"); err != nil {
		return err
	}
	var got string
	for range 4 {
		if got, err = lines.ReadString('\n'); err != nil {
			return err
		}
	}
	if got = strings.TrimSpace(got); !sameFolder(got, dir) {
		return fmt.Errorf("%s belongs to another server: its folder is %q", addr, got)
	}
	return nil
}

// dialRedis connects and logs in, with respTimeout for the whole conversation.
func dialRedis(ctx context.Context, addr, password string) (net.Conn, *bufio.Reader, error) {
	conn, err := (&net.Dialer{Timeout: respTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	lines := bufio.NewReader(conn)
	if err = conn.SetDeadline(time.Now().Add(respTimeout)); err == nil && password != "" {
		_, err = resp(conn, lines, "AUTH", password)
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, lines, nil
}

// resp sends one command and returns the first line of the answer.
func resp(conn net.Conn, lines *bufio.Reader, words ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	line, err := lines.ReadString('\n')
	if err != nil {
		return "", err
	}
	if line = strings.TrimSpace(line); strings.HasPrefix(line, "-") {
		return "", fmt.Errorf("redis refused %s: %s", words[0], line[1:])
	}
	return line, nil
}

// sameFolder compares two paths as the system sees them: /tmp is a link on some systems.
func sameFolder(a, b string) bool {
	realA, errA := filepath.EvalSymlinks(a)
	realB, errB := filepath.EvalSymlinks(b)
	return errA == nil && errB == nil && realA == realB
}
