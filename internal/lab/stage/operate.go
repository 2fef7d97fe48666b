package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/textbook"
)

// maxOutput bounds what is kept of what a program says is wrong, in bytes.
const maxOutput = 400

// operate runs payment-consumer as an operator would, with the servers' own addresses, past the
// proxy. The output is what was printed, also when the exit status is not 0.
func (s *Stage) operate(
	ctx context.Context, limit time.Duration, args ...string,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program("payment-consumer"), args...)
	cmd.Env = s.Stack.Environ()
	cmd.SysProcAttr = devstack.ChildAttributes(false)
	cmd.WaitDelay = time.Second
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(problem.String())
		err = fmt.Errorf("payment-consumer %s: %w: %s", strings.Join(args, " "), err,
			said[:min(len(said), maxOutput)])
	}
	return out, err
}

// ask is operate for commands that print JSON. Their exit status says what they have found, so that
// only output that is no JSON is a failure.
func (s *Stage) ask(ctx context.Context, limit time.Duration, args ...string) ([]byte, error) {
	out, err := s.operate(ctx, limit, append(args, "-o", "json")...)
	if len(out) > 0 && json.Valid(out) {
		return out, nil
	}
	return nil, errors.Join(err, errors.New("it printed no JSON"))
}

// audit asks payment-consumer audit for its verdict.
func (s *Stage) audit(ctx context.Context) lab.Audit {
	out, err := s.ask(ctx, auditLimit, "audit")
	verdict := lab.Audit{At: time.Now().UnixMilli(), State: lab.AuditBlind}
	if err != nil {
		verdict.Note = err.Error()
		return verdict
	}
	var printed struct {
		Findings []lab.Finding `json:"findings"`
		Note     string        `json:"note"`
	}
	if err := json.Unmarshal(out, &printed); err != nil {
		verdict.Note = err.Error()
		return verdict
	}
	return judge(verdict, printed.Findings, printed.Note, s.writes())
}

// cacheRule is the audit's rule about the cache, whose keys have to be serial numbers.
const cacheRule = "I8"

// judge says what findings mean for the ledger. Where the message ID is the token it is also the
// cache's key, so that the audit finds no serial number there: each payment would look wrong to it,
// and not only the second one.
func judge(
	verdict lab.Audit, findings []lab.Finding, note string, o textbook.Order,
) lab.Audit {
	if o == textbook.MessageID {
		findings = slices.DeleteFunc(findings, func(f lab.Finding) bool { return f.Rule == cacheRule })
		note = cacheRule + " is left out: it looks for serial numbers, and here the cache has none."
	}
	verdict.Findings, verdict.Note, verdict.State = findings, note, lab.AuditOK
	for _, f := range findings {
		switch {
		case f.Violations > 0:
			verdict.State = lab.AuditViolated
			return verdict
		case f.Incomplete:
			verdict.State = lab.AuditBlind
		}
	}
	return verdict
}

// Why is what payment-consumer why says about a serial.
func (s *Stage) Why(ctx context.Context, serial string) ([]byte, error) {
	return s.ask(ctx, patience, "why", serial)
}

// Quarantine is what payment-consumer quarantine says.
func (s *Stage) Quarantine(ctx context.Context, id int64) ([]byte, error) {
	if id != 0 {
		return s.ask(ctx, patience, "quarantine", "show", strconv.FormatInt(id, 10))
	}
	return s.ask(ctx, patience, "quarantine", "list", "--limit", strconv.Itoa(shownQuarantine))
}

// settle replays or discards a message in quarantine.
func (s *Stage) settle(how string) deed {
	return func(ctx context.Context, in lab.Input, tell func(lab.Line)) error {
		if in.ID == 0 {
			return errors.New("which message?")
		}
		out, err := s.operate(ctx, patience, "quarantine", how, strconv.FormatInt(in.ID, 10))
		if text := strings.TrimSpace(string(out)); text != "" {
			tell(line("did.said", "text", text))
		}
		return err
	}
}
