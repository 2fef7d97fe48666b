package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
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
	path := filepath.Join(data, recordName)
	content, err := os.ReadFile(path)
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil {
		return record{}, fmt.Errorf("%s, which says what runs, is damaged (%w): end what still "+
			"runs of it by hand, and remove %s", path, err, data)
	}
	return r, nil
}

// Find returns the background stack under home, with those of its servers that run, to be looked
// at and ended. It is nil when there never was one. It needs nothing but the record: the programs
// may have gone from the machine since, or have another version now.
func Find(opts Options) (*Stack, error) {
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
	s.servers = opts.External.servers()
	for name, port := range map[Server]int{
		NameServer: s.ports.NameServer, Broker: s.ports.Broker, MySQL: s.ports.MySQL,
		Redis: s.ports.Redis,
	} {
		if s.Address(name) == "" {
			s.servers = append(s.servers, &server{
				name: name, addr: address(loopback, port), process: adopt(kept.Proc[name]),
			})
		}
	}
	return s, nil
}

// Running returns which of the stack's own servers run, and whether those are all of them.
func (s *Stack) Running() (names []Server, all bool) {
	all = true
	for _, one := range s.servers {
		if one.external {
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
