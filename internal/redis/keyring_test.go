package redis

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("ab", keyBytes)
	tests := map[string]struct {
		in   string
		want string // the names, or part of the error
	}{
		"one":              {"k1:" + goldenKey, "keys(k1)"},
		"two":              {"k2:" + other + ",k1:" + goldenKey, "keys(k2, k1)"},
		"spaces":           {" k2:" + other + " , k1:" + goldenKey + "\n", "keys(k2, k1)"},
		"empty":            {" ", "are empty"},
		"three":            {"a:" + other + ",b:" + goldenKey + ",c:" + other, "at most 2"},
		"no name":          {":" + goldenKey, "key 1 of 1: the name"},
		"no secret":        {"k1", "no colon"},
		"swapped":          {goldenKey + ":k1", "key 1 of 1: the name"},
		"short":            {"k1:" + goldenKey[2:], "32 bytes"},
		"long":             {"k1:" + goldenKey + "00", "32 bytes"},
		"not hexadecimal":  {"k1:" + "zz" + goldenKey[2:], "32 bytes"},
		"trailing comma":   {"k1:" + goldenKey + ",", "key 2 of 2: no colon"},
		"name repeated":    {"k1:" + goldenKey + ",k1:" + other, "repeats"},
		"secret repeated":  {"k1:" + goldenKey + ",k2:" + goldenKey, "repeats"},
		"name with spaces": {"k 1:" + goldenKey, "the name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseKeyring(test.in)
			text := got.String()
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, test.want) {
				t.Errorf("ParseKeyring = %q, want %q", text, test.want)
			}
			if strings.Contains(text, goldenKey[8:24]) || strings.Contains(text, other[8:24]) {
				t.Errorf("the secret shows in %q", text)
			}
		})
	}
}

func TestKeyring_HidesSecrets(t *testing.T) {
	t.Parallel()
	keys, err := ParseKeyring("k1:" + goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	var prints []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		prints = append(prints, fmt.Sprintf(verb, keys), fmt.Sprintf(verb, &keys),
			fmt.Sprintf(verb, Config{Keys: keys}))
	}
	for _, text := range prints {
		// Bytes 1 to 4 of the secret, in hexadecimal and in decimal.
		for _, leak := range []string{"01020304", "1 2 3 4", "0x1, 0x2", "1, 2, 3"} {
			if strings.Contains(text, leak) {
				t.Errorf("a secret shows in %s", text)
			}
		}
	}
}
