package rocketmq

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the only signature that the broker knows
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"slices"

	"example.com/payment/internal/remoting"
)

// Request codes of the remoting protocol.
const (
	codeQueryCommitted   = 14
	codeUpdateCommitted  = 15
	codeMaxOffset        = 30
	codeMinOffset        = 31
	codeClusters         = 106
	codeUpdateGroup      = 200
	codeAllGroups        = 201
	codeDeleteTopic      = 215
	codeDeleteTopicRoute = 216
	codeGroup            = 352
)

// Response codes of the remoting protocol.
const (
	respUnsupported   = 3
	respBusy          = 2
	respIllegal       = 13
	respNotAvailable  = 14
	respNoPermission  = 16
	respTopicNotExist = 17
	respNotFound      = 22
	respGroupNotExist = 26
)

// credentials sign each request, when they are set.
type credentials struct {
	accessKey, secretKey string
}

// link is one connection to a name server or a broker, whose requests are signed.
type link struct {
	conn  *remoting.Conn
	addr  string
	creds credentials
}

// refusedWith says whether err is a refusal with this code.
func refusedWith(err error, code int) bool {
	var refused *remoting.RefusedError
	return errors.As(err, &refused) && refused.Code == code
}

func openLink(ctx context.Context, addr string, creds credentials) (*link, error) {
	conn, err := remoting.Dial(ctx, addr)
	if err != nil {
		return nil, unavailable("%s: %w", addr, err)
	}
	return &link{conn: conn, addr: addr, creds: creds}, nil
}

func (l *link) close() { _ = l.conn.Close() }

// call makes one request. What is no refusal is a server that is not there.
func (l *link) call(
	ctx context.Context, code int, fields map[string]string, body []byte,
) (remoting.Frame, error) {
	answer, err := l.conn.Call(ctx, code, l.creds.sign(fields, body), body)
	var refused *remoting.RefusedError
	if err != nil && !errors.As(err, &refused) {
		return answer, unavailable("%w", err)
	}
	return answer, err
}

// sign adds the access key and the signature: HMAC over the values in the order of their names,
// and the body. The protocol knows no hash but SHA-1.
func (c credentials) sign(fields map[string]string, body []byte) map[string]string {
	if c.accessKey == "" {
		return fields
	}
	signed := maps.Clone(fields)
	if signed == nil {
		signed = make(map[string]string, 2)
	}
	signed["AccessKey"] = c.accessKey
	mac := hmac.New(sha1.New, []byte(c.secretKey))
	for _, name := range slices.Sorted(maps.Keys(signed)) {
		_, _ = io.WriteString(mac, signed[name])
	}
	_, _ = mac.Write(body)
	signed["Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return signed
}
