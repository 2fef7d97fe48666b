package faults

import (
	"context"
	"database/sql"
	"errors"
	"os/exec"
	"strings"
	"time"
)

// Kept is a message in quarantine.
type Kept struct {
	ID         int64
	Kind       string
	Reason     string
	State      string
	BodyBytes  int64
	Deliveries int64
}

// Kept looks for a message in quarantine, by its unique ID.
func (r *Rig) Kept(ctx context.Context, messageID string) (k Kept, found bool, err error) {
	err = r.SQL.QueryRowContext(ctx, `SELECT id, kind, reason, state, body_bytes, deliveries
FROM quarantine WHERE message_id = ?`, []byte(messageID)).
		Scan(&k.ID, &k.Kind, &k.Reason, &k.State, &k.BodyBytes, &k.Deliveries)
	if errors.Is(err, sql.ErrNoRows) {
		return k, false, nil
	}
	return k, err == nil, err
}

// Operate runs payment-consumer as an operator would, such as "quarantine replay 17", with the
// servers' own addresses. It returns what was printed; the error is the exit status.
func (r *Rig) Operate(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Auditor, args...)
	cmd.Env = r.Stack.Environ()
	cmd.WaitDelay = time.Second
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
