package redis

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"example.com/payment/internal/idem"
)

// A value is one line of fields, each with its length before it, and a MAC over them:
//
//	domain | key ID | epoch | fingerprint version | sum | seconds | nanoseconds | answer | MAC
//
// The MAC covers the cache key as well, which the value does not repeat, so that a value copied
// to another key does not verify there. The domain names this layout: a change of the layout, or
// of what is signed, takes a new domain, and old values become misses.
const (
	domain = "idem-cache-v1"
	// maxValue bounds a value in both directions. An answer takes a few hundred bytes.
	maxValue = 16 << 10
)

// problem says in plain words why a value does not vouch for its record; empty if it does.
type problem string

const (
	notString    problem = "the key holds another type than a string"
	oversized    problem = "the value is larger than any that this service writes"
	malformed    problem = "the value is not in the layout that this service writes"
	unknownKey   problem = "it was signed with a key that is not in the keyring"
	otherEpoch   problem = "it belongs to another ledger epoch"
	forged       problem = "the signature does not match: forged, altered or copied"
	unreadable   problem = "the answer inside cannot be read by this version"
	unknownEpoch problem = "the ledger epoch is not known yet, so nothing can be verified"
)

// fields are the parts of a value.
type fields struct {
	keyID, epoch string
	fingerprint  idem.Fingerprint
	decidedAt    time.Time
	answer       []byte
}

// seal makes the value of a record.
func seal[R any](ring Keyring, epoch string, record idem.Record[R]) ([]byte, error) {
	answer, err := json.Marshal(record.Answer)
	if err != nil {
		// The encoder's error may quote the answer.
		return nil, fmt.Errorf("redis: an answer of type %T cannot be stored", record.Answer)
	}
	key := ring.signer()
	f := fields{
		keyID: key.id, epoch: epoch, fingerprint: record.Fingerprint,
		decidedAt: record.DecidedAt, answer: answer,
	}
	value := f.encode()
	mac := key.sign(value, record.Key)
	value = append(value, mac[:]...)
	if len(value) > maxValue {
		return nil, fmt.Errorf("redis: a record takes %d bytes; at most %d are stored",
			len(value), maxValue)
	}
	return value, nil
}

// open returns the record that a value found under key vouches for, or why it does not.
func open[R any](
	ring Keyring, epoch string, key idem.Key, value []byte,
) (idem.Record[R], problem) {
	var none idem.Record[R]
	if len(value) > maxValue {
		return none, oversized
	}
	body, mac, ok := splitMAC(value)
	if !ok {
		return none, malformed
	}
	f, ok := decode(body)
	if !ok {
		return none, malformed
	}
	signer, ok := ring.find(f.keyID)
	if !ok {
		return none, unknownKey
	}
	want := signer.sign(body, key)
	if !hmac.Equal(want[:], mac) {
		return none, forged
	}
	// After the MAC, so that "another epoch" is a fact and not what a forger wrote.
	if f.epoch != epoch {
		return none, otherEpoch
	}
	record := idem.Record[R]{Key: key, Fingerprint: f.fingerprint, DecidedAt: f.decidedAt}
	if json.Unmarshal(f.answer, &record.Answer) != nil {
		return none, unreadable
	}
	return record, ""
}

func splitMAC(value []byte) (body, mac []byte, ok bool) {
	at := len(value) - sha256.Size
	if at < 0 {
		return nil, nil, false
	}
	return value[:at], value[at:], true
}

func (f fields) encode() []byte {
	b := make([]byte, 0, 256+len(f.answer))
	b = appendField(b, []byte(domain))
	b = appendField(b, []byte(f.keyID))
	b = appendField(b, []byte(f.epoch))
	b = appendField(b, number(int64(f.fingerprint.Version)))
	b = appendField(b, f.fingerprint.Sum[:])
	b = appendField(b, number(f.decidedAt.Unix()))
	b = appendField(b, number(int64(f.decidedAt.Nanosecond())))
	return appendField(b, f.answer)
}

// decode is the inverse of encode and accepts nothing else: encoding its result gives the same
// bytes again.
func decode(b []byte) (fields, bool) {
	r := reader{rest: b, ok: true}
	var f fields
	r.ok = string(r.field()) == domain && r.ok
	f.keyID = string(r.field())
	f.epoch = string(r.field())
	f.fingerprint.Version = r.bounded(math.MaxInt32)
	sum := r.field()
	seconds := r.number()
	nanos := r.bounded(int64(time.Second) - 1)
	f.answer = r.field()
	if !r.ok || len(r.rest) != 0 || len(sum) != len(f.fingerprint.Sum) {
		return fields{}, false
	}
	copy(f.fingerprint.Sum[:], sum)
	f.decidedAt = time.Unix(seconds, int64(nanos)).UTC()
	return f, true
}

func appendField(b, field []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}

func number(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n))
}

// reader takes fields off a value until one is not there.
type reader struct {
	rest []byte
	ok   bool
}

func (r *reader) field() []byte {
	if len(r.rest) < 4 {
		r.ok = false
		return nil
	}
	size := binary.BigEndian.Uint32(r.rest)
	if uint64(size) > uint64(len(r.rest)-4) {
		r.ok = false
		return nil
	}
	field := r.rest[4 : 4+size]
	r.rest = r.rest[4+size:]
	return field
}

func (r *reader) number() int64 {
	field := r.field()
	if len(field) != 8 {
		r.ok = false
		return 0
	}
	return int64(binary.BigEndian.Uint64(field))
}

func (r *reader) bounded(limit int64) int {
	n := r.number()
	if n < 0 || n > limit {
		r.ok = false
		return 0
	}
	return int(n)
}
