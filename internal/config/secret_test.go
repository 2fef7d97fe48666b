package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"
)

const hunter = "hunter2"

// holder has secrets where methods are asked for, and where fmt does not ask.
type holder struct {
	Password Secret
	hidden   Secret
	Pointer  *Secret
	inside   struct{ list []Secret }
}

func TestSecret_IsNotPrinted(t *testing.T) {
	t.Parallel()
	s := NewSecret(hunter)
	h := holder{Password: s, hidden: s, Pointer: &s}
	h.inside.list = []Secret{s}
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		printed = append(printed, fmt.Sprintf(verb, s), fmt.Sprintf(verb, h),
			fmt.Sprintf(verb, &h), fmt.Sprintf(verb, []any{s, &s, h}))
	}
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	logger := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&log), zap.DebugLevel))
	logger.Info("x", zap.Any("secret", s), zap.Any("holder", h), zap.Stringer("s", s),
		zap.Reflect("r", h), zap.Error(fmt.Errorf("with %v", s)))
	printed = append(printed, string(asJSON), string(asYAML), log.String())

	hex := fmt.Sprintf("%x", hunter)
	for _, text := range printed {
		if strings.Contains(text, hunter) || strings.Contains(strings.ToLower(text), hex) {
			t.Errorf("the secret is in %s", text)
		}
	}
	if got, want := string(asJSON), `{"Password":"[redacted]","Pointer":"[redacted]"}`; got != want {
		t.Errorf("JSON is %s, want %s", got, want)
	}
	if got := fmt.Sprintf("%v|%s|%#v|%d", s, s, s, Secret{}); got !=
		"[redacted]|[redacted]|[redacted]|[redacted]" {
		t.Errorf("printed as %s", got)
	}
	if s.Reveal() != hunter || (Secret{}).Reveal() != "" {
		t.Error("Reveal does not give the text")
	}
}

func TestSecret_File(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"Plain": hunter, "Newline": hunter + "\n", "Windows": hunter + "\r\n",
	} {
		path := writeFile(t, "secret", content)
		inFile := writeFile(t, "c.yaml", "mysql:\n  password_file: "+path+"\n")
		for _, in := range []Input{
			{Environ: []string{"PAYMENT_MYSQL_PASSWORD_FILE=" + path}},
			{Path: inFile},
			{Flags: parseFlags(t, "--mysql-password-file="+path)},
		} {
			c, err := LoadConsumer(in, NeedMySQL)
			if err != nil || c.MySQL.Password.Reveal() != hunter {
				t.Errorf("%s: got %q, error %v", name, c.MySQL.Password.Reveal(), err)
			}
		}
	}
}

func TestSecret_FileRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	open := writeFile(t, "open", hunter)
	if err := os.Chmod(open, 0o604); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing")
	large := writeFile(t, "large", strings.Repeat("x", secretBytes+1))
	empty := writeFile(t, "empty", "\n")
	lines := writeFile(t, "lines", hunter+"\nmore\n")
	for path, want := range map[string]string{
		open: "everybody on this machine has access to " + open + " (mode 0604); " +
			"run: chmod 600 " + open,
		missing: "cannot read the secret's file: stat " + missing + ": no such file or directory",
		folder:  folder + " is not a regular file",
		large:   large + " is larger than 65536 bytes, too large for a secret",
		empty:   empty + " holds no secret, it is empty",
		lines:   "what was given is not accepted; give a secret on one line",
	} {
		in := Input{Environ: []string{"PAYMENT_MYSQL_PASSWORD_FILE=" + path}}
		want = "mysql.password (PAYMENT_MYSQL_PASSWORD): " + want
		if diff := cmp.Diff([]string{want}, problems(t, in, NeedMySQL)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestSecret_BothSet(t *testing.T) {
	t.Parallel()
	in := Input{
		Path: writeFile(t, "c.yaml",
			"mysql:\n  password_file: "+writeFile(t, "secret", hunter)+"\n"),
		Environ: []string{"PAYMENT_MYSQL_PASSWORD=" + hunter},
	}
	want := []string{"mysql.password (PAYMENT_MYSQL_PASSWORD): both it and " +
		"mysql.password_file (PAYMENT_MYSQL_PASSWORD_FILE) are set; give one of them"}
	if diff := cmp.Diff(want, problems(t, in, NeedMySQL)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecret_BadKeysAreNotShown(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{
		hunter, "k1:" + hunter, "k1:0f", ":" + strings.Repeat("0f", 32), key32 + ",",
		"k 1:" + strings.Repeat("0f", 32), key32 + "f", key32 + "," + key32 + "," + key32, key32 + "\n" + key32,
	} {
		got := problems(t, Input{Environ: []string{"PAYMENT_CACHE_KEYS=" + keys}})
		if len(got) != 1 || strings.Contains(got[0], hunter) || strings.Contains(got[0], "0f0f") ||
			!strings.HasPrefix(got[0], "cache.keys (PAYMENT_CACHE_KEYS): what was given is not") {
			t.Errorf("keys %q: got %q", keys, got)
		}
	}
}
