package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// record is what a data folder says about the stack in it. It is written before and after every
// change, so that a later payment-lab finds each process, whatever became of the one that
// started it.
type record struct {
	// Owner is the payment-lab that a foreground stack ends with.
	Owner ProcessID `json:"owner"`
	// Keep says that the folder is to be left when the owner is gone.
	Keep  bool                 `json:"keep,omitempty"`
	Ports ports                `json:"ports"`
	Proc  map[Server]ProcessID `json:"processes,omitempty"`
}

const recordName = "stack.json"

// newFolderGrace is how long a folder without a record may be somebody's that is being made.
const newFolderGrace = time.Minute

func (s *Stack) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	started, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	r := record{
		Owner: ProcessID{PID: os.Getpid(), Started: started},
		Keep:  s.opts.KeepData,
		Ports: s.ports,
		Proc:  make(map[Server]ProcessID),
	}
	for _, one := range s.servers {
		if p := one.current(); p != nil && p.alive() {
			r.Proc[one.name] = p.id
		}
	}
	return writeRecord(s.data, r)
}

func writeRecord(data string, r record) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(data, recordName), string(content)+"\n")
}

func load(data string) (record, error) {
	content, err := os.ReadFile(filepath.Join(data, recordName))
	if err != nil {
		return record{}, err
	}
	var r record
	return r, json.Unmarshal(content, &r)
}

// Find returns the background stack under home, with those of its servers that run. It is nil
// when there never was one.
func Find(ctx context.Context, opts Options) (*Stack, error) {
	opts.Background = true
	home, err := filepath.Abs(opts.Home)
	if err != nil {
		return nil, err
	}
	opts.Home = home
	s := &Stack{opts: opts, data: filepath.Join(home, "data"), files: filesAt(home)}
	kept, err := load(s.data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.ports = kept.Ports
	if s.secrets, err = loadSecrets(s.dir("secrets")); err != nil {
		return nil, err
	}
	if s.servers, err = s.describe(ctx); err != nil {
		return nil, err
	}
	for _, one := range s.servers {
		one.process = adopt(kept.Proc[one.name])
	}
	return s, nil
}

// Running returns which of the stack's own servers run, and whether those are all of them.
func (s *Stack) Running() (names []Server, all bool) {
	all = true
	for _, one := range s.servers {
		if one.external() {
			continue
		}
		if p := one.current(); p != nil && p.alive() {
			names = append(names, one.name)
		} else {
			all = false
		}
	}
	return names, all
}

// sweep removes the folders of foreground stacks whose payment-lab is gone without having
// removed them, and ends what it may have left running on systems where a child outlives it.
func sweep(tmp string) {
	folders, _ := filepath.Glob(filepath.Join(tmp, "stack-*"))
	for _, folder := range folders {
		kept, err := load(folder)
		if err != nil {
			info, err := os.Stat(folder)
			if err != nil || time.Since(info.ModTime()) < newFolderGrace {
				continue
			}
		}
		if adopt(kept.Owner) != nil {
			continue
		}
		for _, id := range kept.Proc {
			if left := adopt(id); left != nil {
				_ = left.kill()
			}
		}
		if !kept.Keep {
			_ = os.RemoveAll(folder)
		}
	}
}
