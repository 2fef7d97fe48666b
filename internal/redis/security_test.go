package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
)

// aclRules are what the containers give to the user of the cache: some commands, on keys with a
// prefix, in whose place a test has its own. SELECT is for databases other than 0.
func aclRules(t *testing.T, prefix string) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/redis-rights.txt")
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(text), "~payment:*", "~"+prefix+"*", 1)
	if own == string(text) {
		t.Fatalf("deploy/redis-rights.txt is not about the keys payment:*: %s", text)
	}
	return append([]string{"reset", "on", ">" + aclPassword}, strings.Fields(own)...)
}

const aclPassword = "acl-password"

// A user with these rights alone can do all that the cache does, and nothing else.
func TestACL(t *testing.T) {
	t.Parallel()
	cfg, raw := realServer(t)
	user := "acl_" + strings.ToLower(rand.Text()[:10])
	prefix := strings.NewReplacer("*", "", "?", "").Replace(cfg.KeyPrefix)
	if err := raw.ACLSetUser(t.Context(), user, aclRules(t, prefix)...).Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), roomy)
		defer cancel()
		if err := raw.Do(ctx, "ACL", "DELUSER", user).Err(); err != nil {
			t.Errorf("remove the user %s: %v", user, err)
		}
	})
	cfg.User, cfg.Password = user, aclPassword
	c := newCache(t, cfg)
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Put(t.Context(), []idem.Record[answer]{record("k", "a")}); err != nil {
		t.Error(err)
	}
	if found, err := c.Get(t.Context(), []idem.Key{"k"}); err != nil || len(found) != 1 {
		t.Errorf("%d found, %v", len(found), err)
	}
	seen := 0
	err := c.Scan(t.Context(), func(i Inspection[answer]) error { seen++; return nil })
	if err != nil || seen != 1 {
		t.Errorf("the scan saw %d, %v", seen, err)
	}
	own := redis.NewClient(&redis.Options{Addr: cfg.Address, Username: user, Password: aclPassword,
		Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() { _ = own.Close() })
	for _, command := range []string{
		"FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "ACL WHOAMI", "SHUTDOWN",
		"DEL " + prefix + "k", "EXPIRE " + prefix + "k 1", "PERSIST " + prefix + "k", "MONITOR", "INFO",
		"GETRANGE other:k 0 1", "SET other:k v", "PTTL other:k", "EVAL return(1) 0", "REPLICAOF no one",
	} {
		var words []any
		for _, word := range strings.Fields(command) {
			words = append(words, word)
		}
		err := own.Do(t.Context(), words...).Err()
		if err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s: %v, want NOPERM", command, err)
		}
	}
}

// authority makes a certificate authority of a test's own, and a certificate for a host.
func authority(t *testing.T, host string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// terminate listens with TLS and carries what comes to a server that has none, as a sidecar does.
func terminate(t *testing.T, certificate tls.Certificate, to string) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			t.Cleanup(func() { _, _ = in.Close(), out.Close() })
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String()
}

// The server's certificate is verified: its signer, and the host that it is for.
func TestTLS(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	pool, good := authority(t, "127.0.0.1")
	_, foreign := authority(t, "127.0.0.1")
	otherPool, other := authority(t, "redis.example")
	for name, c := range map[string]struct {
		certificate tls.Certificate
		trusted     *x509.CertPool
		refused     string
	}{
		"Verified":     {good, pool, ""},
		"OtherSigner":  {foreign, pool, "certificate"},
		"OtherHost":    {other, otherPool, "certificate"},
		"NotEncrypted": {good, nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.Address = terminate(t, c.certificate, cfg.Address)
			if c.trusted != nil {
				cfg.TLS = &tls.Config{RootCAs: c.trusted, MinVersion: tls.VersionTLS12}
			}
			cache, err := New[answer](cfg, fixedEpoch("e"), zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cache.Close() })
			err = cache.Ping(t.Context())
			if (err == nil) != (c.refused == "") {
				t.Errorf("got %v", err)
			}
			if c.refused == "certificate" && !strings.Contains(err.Error(), "certificate") {
				t.Errorf("got %v, want it to say why", err)
			}
		})
	}
}
