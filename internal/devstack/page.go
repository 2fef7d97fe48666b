package devstack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// maxPage bounds what is read of a page, in bytes.
const maxPage = 1 << 20

// pageLimit bounds the wait for a page of a program that is busy, or stopped.
const pageLimit = 2 * time.Second

// opsAddress is how a consumer's log says where it serves health and metrics.
var opsAddress = regexp.MustCompile(`"ops":"([^"]+)"`)

// pages reads what a consumer serves to operators. It is safe for concurrent use.
type pages struct {
	log     string
	client  http.Client
	mu      sync.Mutex
	address string // once the log has told it
}

func newPages(log string) *pages {
	// To pack what is read would cost the program more than the page itself.
	return &pages{
		log: log, client: http.Client{Transport: &http.Transport{DisableCompression: true}},
	}
}

// find looks the address up in the log, until it is there.
func (p *pages) find() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.address != "" {
		return p.address, nil
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "", err
	}
	found := opsAddress.FindSubmatch(text)
	if found == nil {
		return "", errors.New("the consumer has not said yet where it serves its health")
	}
	p.address = string(found[1])
	return p.address, nil
}

// Get reads a page that the program, a consumer, serves to operators. Only ctx bounds it.
func (p *Process) Get(ctx context.Context, path string) (body string, status int, err error) {
	address, err := p.pages.find()
	if err != nil {
		return "", 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", 0, err
	}
	response, err := p.pages.client.Do(request)
	if err != nil {
		return "", 0, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	return string(text), response.StatusCode, errors.Join(err, response.Body.Close())
}

// Page is Get for a page that is there at once, or else is not waited for.
func (p *Process) Page(ctx context.Context, path string) (body string, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageLimit)
	defer cancel()
	return p.Get(ctx, path)
}

// Ready asks the program, a consumer, whether it is ready.
func (p *Process) Ready(ctx context.Context) bool {
	body, status, err := p.Page(ctx, "/readyz")
	return err == nil && body != "" && status == http.StatusOK
}

// LastLine is the last line of the program's log: what one that ended says is the reason.
func (p *Process) LastLine() string {
	text, err := os.ReadFile(p.pages.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
