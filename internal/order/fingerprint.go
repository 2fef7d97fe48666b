package order

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// FingerprintVersion is the version under which new fingerprints are computed. A stored one is
// compared under the version it was stored with, so that changing the rules makes no conflicts:
// to change them, add a version and go on computing the old ones.
const FingerprintVersion = 1

// fingerprintDomain keeps the digest apart from every other use of SHA-256, and names the
// version, so that no content has the same digest under two versions.
const fingerprintDomain = "payment/order-fingerprint/v1"

// Fingerprint digests what the order asks for, so that the same serial number with other content
// is seen. It covers the order ID, payer, payee, amount and currency, and not the serial number:
// that is what it is compared under, and two serials of one order are compared by it as well. ok
// is false for a version that this program does not know.
//
// Version 1 is SHA-256 over a domain name and the five fields in that order, the amount in
// decimal digits of minor units, each preceded by its length as four bytes, big-endian. The
// lengths keep neighbours apart: payer "ab" and payee "c" are not payer "a" and payee "bc".
func (o Order) Fingerprint(version int) (sum [32]byte, ok bool) {
	if version != 1 {
		return sum, false
	}
	buf := make([]byte, 0, 512)
	buf = appendPrefixed(buf, fingerprintDomain)
	buf = appendPrefixed(buf, string(o.ID))
	buf = appendPrefixed(buf, string(o.Payer))
	buf = appendPrefixed(buf, string(o.Payee))
	buf = appendPrefixed(buf, strconv.FormatInt(o.Amount.Minor, 10))
	buf = appendPrefixed(buf, string(o.Amount.Currency))
	return sha256.Sum256(buf), true
}

func appendPrefixed(buf []byte, s string) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(s)))
	return append(buf, s...)
}
