package devstack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// secrets are the passwords of one stack. They are random, made once per data folder, and kept
// there in files that only their owner can read.
type secrets struct {
	mysqlRoot, mysqlApp, mysqlMigrate, mysqlArchive string
	redis                                           string
	// cacheKey signs the consumer's cache values.
	cacheKey string
}

func loadSecrets(dir string) (secrets, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return secrets{}, err
	}
	var s secrets
	for _, one := range []struct {
		name  string
		bytes int
		to    *string
	}{
		{"mysql-root", 16, &s.mysqlRoot},
		{"mysql-app", 16, &s.mysqlApp},
		{"mysql-migrate", 16, &s.mysqlMigrate},
		{"mysql-archive", 16, &s.mysqlArchive},
		{"redis", 16, &s.redis},
		{"cache-key", 32, &s.cacheKey},
	} {
		value, err := loadSecret(filepath.Join(dir, one.name), one.bytes)
		if err != nil {
			return secrets{}, err
		}
		*one.to = value
	}
	return s, nil
}

// loadSecret reads a secret, or makes it: hexadecimal, so that no quoting can go wrong.
func loadSecret(path string, bytes int) (string, error) {
	kept, err := os.ReadFile(path)
	if err == nil {
		return string(kept), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	random := make([]byte, bytes)
	_, _ = rand.Read(random) // never fails
	value := hex.EncodeToString(random)
	return value, writeFile(path, value)
}

// writeFile replaces a file as a whole, so that nobody reads half of it, and lets only its owner
// read it.
func writeFile(path, content string) error {
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
