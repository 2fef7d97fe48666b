package redis

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"

	"example.com/payment/internal/idem"
)

const (
	keyBytes   = 32
	maxKeys    = 2
	maxKeyName = 16
)

// Keyring holds the secrets that vouch for values: the first one signs, all of them verify. It
// prints as the names of its keys, never as the keys.
type Keyring struct{ keys []signingKey }

type signingKey struct {
	id     string
	secret [keyBytes]byte
	macs   *sync.Pool // of hash.Hash: to begin with a secret costs more than to go back to it
}

// ParseKeyring reads "name:hex" or "new:hex,old:hex", a secret being 32 bytes in hexadecimal
// (openssl rand -hex 32). Errors tell which key is wrong by its place and never quote it, since
// the two halves of a key are easily swapped.
func ParseKeyring(s string) (Keyring, error) {
	if strings.TrimSpace(s) == "" {
		return Keyring{}, errors.New("redis: cache keys are empty; want name:hex32bytes")
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxKeys {
		return Keyring{}, fmt.Errorf("redis: %d cache keys; at most %d, of which the first signs",
			len(parts), maxKeys)
	}
	ring := Keyring{}
	for i, part := range parts {
		key, err := parseKey(strings.TrimSpace(part))
		if err != nil {
			return Keyring{}, fmt.Errorf("redis: cache key %d of %d: %w", i+1, len(parts), err)
		}
		if ring.repeats(key) {
			return Keyring{}, fmt.Errorf("redis: cache key %d of %d repeats the name or the "+
				"secret of another", i+1, len(parts))
		}
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}

func parseKey(s string) (signingKey, error) {
	id, secret, ok := strings.Cut(s, ":")
	if !ok {
		return signingKey{}, errors.New("no colon; want name:hex32bytes")
	}
	if !isKeyName(id) {
		return signingKey{}, fmt.Errorf("the name must be 1 to %d letters, digits, - or _",
			maxKeyName)
	}
	key := signingKey{id: id}
	// The decoder's own error quotes the character that it stumbled over.
	raw, err := hex.DecodeString(secret)
	if err != nil || len(raw) != keyBytes {
		return signingKey{}, fmt.Errorf("the secret must be %d bytes as %d hexadecimal digits "+
			"(openssl rand -hex %d)", keyBytes, 2*keyBytes, keyBytes)
	}
	copy(key.secret[:], raw)
	key.macs = &sync.Pool{New: func() any { return hmac.New(sha256.New, key.secret[:]) }}
	return key, nil
}

func isKeyName(s string) bool {
	if s == "" || len(s) > maxKeyName {
		return false
	}
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		if !letter && !digit && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func (k Keyring) repeats(key signingKey) bool {
	for _, other := range k.keys {
		if other.id == key.id || other.secret == key.secret {
			return true
		}
	}
	return false
}

func (k Keyring) signer() signingKey { return k.keys[0] }

func (k Keyring) find(id string) (signingKey, bool) {
	for _, key := range k.keys {
		if key.id == id {
			return key, true
		}
	}
	return signingKey{}, false
}

// sign makes the MAC over a value's fields and the cache key, which is signed as one more field.
func (k signingKey) sign(body []byte, key idem.Key) (sum [sha256.Size]byte) {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	mac.Write(body)
	mac.Write(appendField(make([]byte, 0, 128), []byte(key)))
	mac.Sum(sum[:0])
	return sum
}

// String lists the names of the keys, the signing one first.
func (k Keyring) String() string {
	names := make([]string, len(k.keys))
	for i, key := range k.keys {
		names[i] = key.id
	}
	return "keys(" + strings.Join(names, ", ") + ")"
}

// Format keeps the secrets out of every verb, %#v and %x included.
func (k Keyring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }
