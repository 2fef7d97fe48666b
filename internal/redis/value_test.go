package redis

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
)

// golden is a value computed with Python's hmac and struct, under the key 00 01 02 ... 1f.
const (
	goldenKey  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	goldenBody = "0000000d6964656d2d63616368652d7631000000026b310000000765706f63682d31" +
		"00000008000000000000000100000020ed7002b439e9ac845f22357d822bac1444730fbdb6016d3e" +
		"c9432297b9ec9f7300000008000000006955b9000000000800000000075bca000000001d" +
		"7b22737461747573223a2270616964222c22726561736f6e223a22227d"
	goldenMAC = "0ad3870ff71defecdcf6cf38cfa711af3bbeb366c2352a5c6d0245b778af9522"
)

func TestSeal_Golden(t *testing.T) {
	t.Parallel()
	keys, err := ParseKeyring("k1:" + goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	want := record("PAY_100", "content")
	want.Answer.Reason = ""
	value, err := seal(keys, "epoch-1", want)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(value); got != goldenBody+goldenMAC {
		t.Errorf("seal = %s, want %s", got, goldenBody+goldenMAC)
	}
	got, why := open[answer](keys, "epoch-1", "PAY_100", value)
	if diff := cmp.Diff(want, got); why != "" || diff != "" {
		t.Errorf("open: problem %q, diff %s", why, diff)
	}
}

func TestOpen_RoundTrip(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1")
	for name, change := range map[string]func(*idem.Record[answer]){
		"as usual":          func(*idem.Record[answer]) {},
		"nanoseconds":       func(r *idem.Record[answer]) { r.DecidedAt = r.DecidedAt.Add(1) },
		"zero time":         func(r *idem.Record[answer]) { r.DecidedAt = time.Time{} },
		"before 1970":       func(r *idem.Record[answer]) { r.DecidedAt = time.Unix(-1, 5).UTC() },
		"empty key":         func(r *idem.Record[answer]) { r.Key = "" },
		"binary key":        func(r *idem.Record[answer]) { r.Key = "\x00\xff\r\n" },
		"zero fingerprint":  func(r *idem.Record[answer]) { r.Fingerprint = idem.Fingerprint{} },
		"zero answer":       func(r *idem.Record[answer]) { r.Answer = answer{} },
		"answer with quote": func(r *idem.Record[answer]) { r.Answer.Reason = "\"\n\u2028<" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := record("PAY_1", "content")
			change(&want)
			value, err := seal(keys, "e", want)
			if err != nil {
				t.Fatal(err)
			}
			got, why := open[answer](keys, "e", want.Key, value)
			if diff := cmp.Diff(want, got); why != "" || diff != "" {
				t.Errorf("problem %q, diff %s", why, diff)
			}
		})
	}
}

// TestOpen_EveryFieldIsSigned changes one field at a time and keeps the signature.
func TestOpen_EveryFieldIsSigned(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1", "k2")
	value, err := seal(keys, "epoch-1", record("PAY_1", "content"))
	if err != nil {
		t.Fatal(err)
	}
	body, mac, _ := splitMAC(value)
	for name, change := range map[string]func(*fields){
		"key id":              func(f *fields) { f.keyID = "k2" },
		"epoch":               func(f *fields) { f.epoch = "epoch-2" },
		"fingerprint version": func(f *fields) { f.fingerprint.Version++ },
		"fingerprint sum":     func(f *fields) { f.fingerprint.Sum[31] ^= 1 },
		"seconds":             func(f *fields) { f.decidedAt = f.decidedAt.Add(time.Second) },
		"nanoseconds":         func(f *fields) { f.decidedAt = f.decidedAt.Add(1) },
		"answer":              func(f *fields) { f.answer = bytes.ToUpper(f.answer) },
		"border of two fields": func(f *fields) {
			f.keyID, f.epoch = f.keyID+f.epoch[:1], f.epoch[1:]
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, ok := decode(body)
			if !ok {
				t.Fatal("own value does not decode")
			}
			f.answer = slices.Clone(f.answer)
			change(&f)
			altered := append(f.encode(), mac...)
			// Whatever the present epoch is: the forger may have guessed it.
			for _, epoch := range []string{"epoch-1", "epoch-2"} {
				_, why := open[answer](keys, epoch, "PAY_1", altered)
				if why != forged && why != unknownKey {
					t.Errorf("epoch %s: problem %q, want forged or unknown key", epoch, why)
				}
			}
		})
	}
}

func TestOpen_EveryByteCounts(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1")
	value, err := seal(keys, "e", record("PAY_1", "content"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range value {
		altered := slices.Clone(value)
		altered[i] ^= 0x01
		if _, why := open[answer](keys, "e", "PAY_1", altered); why == "" {
			t.Errorf("byte %d of %d is not signed", i, len(value))
		}
		if _, why := open[answer](keys, "e", "PAY_1", value[:i]); why == "" {
			t.Errorf("the first %d of %d bytes verify", i, len(value))
		}
	}
	if _, why := open[answer](keys, "e", "PAY_1", append(value, 0)); why == "" {
		t.Error("a value with a byte after it verifies")
	}
}

func TestOpen_Problems(t *testing.T) {
	t.Parallel()
	mine := ring(t, "k1")
	value, err := seal(mine, "e", record("PAY_1", "content"))
	if err != nil {
		t.Fatal(err)
	}
	sameName, err := ParseKeyring("k1:" + goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		keys  Keyring
		epoch string
		key   idem.Key
		value []byte
		want  problem
	}{
		"good":                   {mine, "e", "PAY_1", value, ""},
		"copied to another key":  {mine, "e", "PAY_2", value, forged},
		"key in another case":    {mine, "e", "pay_1", value, forged},
		"another epoch":          {mine, "f", "PAY_1", value, otherEpoch},
		"key not in the ring":    {ring(t, "k2"), "e", "PAY_1", value, unknownKey},
		"same name other secret": {sameName, "e", "PAY_1", value, forged},
		"second key verifies":    {ring(t, "k2", "k1"), "e", "PAY_1", value, ""},
		"empty":                  {mine, "e", "PAY_1", nil, malformed},
		"plain JSON":             {mine, "e", "PAY_1", []byte(`{"status":"paid"}`), malformed},
		"oversized":              {mine, "e", "PAY_1", make([]byte, maxValue+1), oversized},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, why := open[answer](test.keys, test.epoch, test.key, test.value)
			if why != test.want {
				t.Errorf("problem = %q, want %q", why, test.want)
			}
			if why != "" && got != (idem.Record[answer]{}) {
				t.Errorf("a value that is not believed gave %v", got)
			}
		})
	}
}

func TestOpen_AnswerOfAnotherVersion(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1")
	value, err := seal(keys, "e", idem.Record[string]{Key: "PAY_1", Answer: "paid"})
	if err != nil {
		t.Fatal(err)
	}
	if _, why := open[answer](keys, "e", "PAY_1", value); why != unreadable {
		t.Errorf("problem = %q, want %q", why, unreadable)
	}
}

func TestSeal_Refuses(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1")
	big := record("PAY_1", strings.Repeat("secret", maxValue))
	if _, err := seal(keys, "e", big); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("oversized answer: %v", err)
	}
	if _, err := seal(keys, "e", idem.Record[func()]{}); err == nil {
		t.Error("an answer that has no JSON was sealed")
	}
}

// FuzzDecode looks for a value that is read in two ways: whatever decodes must encode to the
// very same bytes, or the signature would cover something else than what is believed.
func FuzzDecode(f *testing.F) {
	body, err := hex.DecodeString(goldenBody)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte{})
	f.Add(body[:len(body)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := decode(b)
		if ok && !bytes.Equal(got.encode(), b) {
			t.Errorf("decode(%x) encodes to %x", b, got.encode())
		}
	})
}
