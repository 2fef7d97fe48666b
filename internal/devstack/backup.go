package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// databaseFolders are where the database server keeps its files, and where BackUp keeps a copy.
func (s *Stack) databaseFolders() (data, backup string) {
	return filepath.Join(s.dir("mysql"), "data"), filepath.Join(s.dir("mysql"), "backup")
}

// BackUp keeps a copy of everything that the database holds, in place of an earlier one. The
// server is ended for it, in order, and started again.
func (s *Stack) BackUp(ctx context.Context) error {
	if err := s.Stop(ctx, MySQL); err != nil {
		return err
	}
	data, backup := s.databaseFolders()
	if err := copyFolder(backup, data); err != nil {
		return fmt.Errorf("copy the database's files: %w", err)
	}
	return s.Restart(ctx, MySQL)
}

// Restore puts back what BackUp has kept, and whatever the database has learnt since is gone.
func (s *Stack) Restore(ctx context.Context) error {
	data, backup := s.databaseFolders()
	if _, err := os.Stat(backup); err != nil {
		return fmt.Errorf("there is no copy to restore: %w", err)
	}
	if err := s.Stop(ctx, MySQL); err != nil {
		return err
	}
	if err := copyFolder(data, backup); err != nil {
		return fmt.Errorf("put back the database's files: %w", err)
	}
	return s.Restart(ctx, MySQL)
}

// copyFolder makes one folder hold what another does, and nothing else. Of a server that had to be
// killed a socket is left, which is no file to copy.
func copyFolder(to, from string) error {
	err := os.Remove(filepath.Join(from, mysqlSocket))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
