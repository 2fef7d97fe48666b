package devstack

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func TestExternalFromEnv(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env  map[string]string
		want string // in the error; empty for none
	}{
		"Nothing": {nil, ""},
		"All": {map[string]string{
			"PAYMENT_LAB_MYSQL": "root:p@ss:w@127.0.0.1:3306", "PAYMENT_LAB_REDIS": "127.0.0.1:6379",
			"PAYMENT_LAB_NAME_SERVER": "h:9876", "PAYMENT_LAB_BROKER": "h:10911",
		}, ""},
		"BrokerAlone":  {map[string]string{"PAYMENT_LAB_BROKER": "h:1"}, "PAYMENT_LAB_NAME_SERVER"},
		"MySQLNoUser":  {map[string]string{"PAYMENT_LAB_MYSQL": "h:1"}, "USER:PASSWORD@HOST:PORT"},
		"MySQLNoPort":  {map[string]string{"PAYMENT_LAB_MYSQL": "u:p@h"}, "PAYMENT_LAB_MYSQL"},
		"RedisNoPort":  {map[string]string{"PAYMENT_LAB_REDIS": "h"}, "PAYMENT_LAB_REDIS"},
		"RedisNoPort2": {map[string]string{"PAYMENT_LAB_REDIS": ":p@h"}, "PAYMENT_LAB_REDIS"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ExternalFromEnv(func(name string) string { return c.env[name] })
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want it to name %q", err, c.want)
			}
		})
	}
}

func TestSplitLogin(t *testing.T) {
	t.Parallel()
	user, password, addr := splitLogin("root:p@ss:w@127.0.0.1:3306")
	if user != "root" || password != "p@ss:w" || addr != "127.0.0.1:3306" {
		t.Errorf("got %q %q %q", user, password, addr)
	}
}

func TestStart_Refused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		opts Options
		want string
	}{
		"Colon": {Options{Home: filepath.Join(t.TempDir(), "a:b")}, "PAYMENT_LAB_HOME"},
		"Proxy": {Options{
			Home: t.TempDir(), ProxyHost: "127.0.0.2",
			External: External{NameServer: "h:1", Broker: "h:2"},
		}, "PAYMENT_LAB_BROKER"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Start(context.Background(), c.opts)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to name %s", err, c.want)
			}
		})
	}
}

// TestDoctor_EmptyMachine: each thing that is missing comes with its remedy.
func TestDoctor_EmptyMachine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	missing := make(map[string]bool)
	for _, check := range Doctor(context.Background(), Options{Home: t.TempDir()}) {
		if check.Status != OK && check.Remedy == "" {
			t.Errorf("%s: %s, without a remedy", check.Name, check.Found)
		}
		missing[check.Name] = check.Status == Missing
	}
	for _, name := range []string{"Go", "JDK", "Maven"} {
		if !missing[name] {
			t.Errorf("%s is not reported as missing", name)
		}
	}
}

// TestStart_NoPrograms: a start on an empty machine says what is missing and how to get it.
func TestStart_NoPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	_, err := Start(context.Background(), Options{Home: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), remedyMaven()) {
		t.Errorf("got %v, want the way to get Maven", err)
	}
}
