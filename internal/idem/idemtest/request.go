package idemtest

import (
	"crypto/sha256"

	"example.com/payment/internal/idem"
)

// FingerprintVersion is the only version that [Request] and [Store] know.
const FingerprintVersion = 1

// Request makes a request that asks for its payload: two with equal payloads have the same
// content.
func Request(key idem.Key, payload string) idem.Request[string] {
	return idem.Request[string]{
		Key:         key,
		Fingerprint: fingerprintOf(payload),
		Payload:     payload,
	}
}

func fingerprintOf(content string) func(int) (idem.Fingerprint, bool) {
	return func(version int) (idem.Fingerprint, bool) {
		if version != FingerprintVersion {
			return idem.Fingerprint{}, false
		}
		return idem.Fingerprint{Version: version, Sum: sha256.Sum256([]byte(content))}, true
	}
}
