package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// errLocked says that another payment-lab holds a lock.
var errLocked = errors.New("another payment-lab is at work")

// lockFile takes an exclusive lock that the system gives back when the holder ends in whatever
// way. The returned func gives it back earlier.
func lockFile(path string) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w in %s", errLocked, filepath.Dir(path))
	}
	return func() { _ = f.Close() }, nil
}

// waitLock is lockFile for a lock that is given back soon.
func waitLock(ctx context.Context, path string) (unlock func(), err error) {
	err = poll(ctx, func(context.Context) error {
		unlock, err = lockFile(path)
		return err
	})
	return unlock, err
}

// Lock keeps two payment-labs from working on the background stack of one home at a time.
func Lock(home string) (unlock func(), err error) {
	return lockFile(filepath.Join(home, "lock"))
}
