package security_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/remoting"
	"example.com/payment/internal/rocketmq"
)

const (
	rootUser, rootSecret         = "root-of-test", "root-secret-12345678"
	producerUser, producerSecret = "order-producer", "producer-secret-12345"
	consumerUser, consumerSecret = "payment-consumer", "consumer-secret-12345"
)

// secured starts servers with every control on. The stack's own questions to the broker, by which
// it finds out whether it works, are let through by their codes; no client of ours makes them.
func secured(t *testing.T) (*devstack.Stack, *x509.CertPool) {
	t.Helper()
	home := os.Getenv("PAYMENT_LAB_HOME")
	if home == "" {
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal("PAYMENT_LAB_HOME is not set and PAYMENT_TEST_REQUIRE is 1")
		}
		t.Skip("needs servers of its own: run make test")
	}
	pool, cert, key := certificate(t)
	root, err := json.Marshal(map[string]string{"username": rootUser, "password": rootSecret})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := json.Marshal(map[string]string{"accessKey": rootUser, "secretKey": rootSecret})
	if err != nil {
		t.Fatal(err)
	}
	const auth = "org.apache.rocketmq.auth."
	stack, err := devstack.Start(t.Context(), devstack.Options{
		Home: home,
		MySQL: map[string]string{
			"skip-ssl": "OFF", "ssl-cert": cert, "ssl-key": key, "require-secure-transport": "OFF"},
		Broker: map[string]string{
			"authenticationEnabled":                "true",
			"authenticationProvider":               auth + "authentication.provider.DefaultAuthenticationProvider",
			"authenticationMetadataProvider":       auth + "authentication.provider.LocalAuthenticationMetadataProvider",
			"initAuthenticationUser":               string(root),
			"innerClientAuthenticationCredentials": string(inner),
			"authorizationEnabled":                 "true",
			"authorizationProvider":                auth + "authorization.provider.DefaultAuthorizationProvider",
			"authorizationMetadataProvider":        auth + "authorization.provider.LocalAuthorizationMetadataProvider",
			"authenticationWhitelist":              "17,25,26,310",
			"authorizationWhitelist":               "17,25,26,310",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := stack.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return stack, pool
}

// certificate makes a certificate for 127.0.0.1, signed by itself, and its files.
func certificate(t *testing.T) (pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "database"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool, certFile, keyFile
}

// The codes of the requests by which an administrator makes users and gives them rights.
const (
	codeCreateUser = 3001
	codeDeleteUser = 3003
	codeCreateACL  = 3006
)

// administer makes a request as the broker's administrator.
func administer(t *testing.T, broker string, code int, fields map[string]string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	signed := maps.Clone(fields)
	signed["AccessKey"] = rootUser
	mac := hmac.New(sha1.New, []byte(rootSecret))
	for _, name := range slices.Sorted(maps.Keys(signed)) {
		_, _ = mac.Write([]byte(signed[name]))
	}
	_, _ = mac.Write(text)
	signed["Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if _, err := remoting.Call(t.Context(), broker, code, signed, text); err != nil {
		t.Fatalf("request %d: %v", code, err)
	}
}

// allow makes a user and gives it rights: actions by resource.
func allow(t *testing.T, broker, user, secret string, rights map[string]string) {
	t.Helper()
	administer(t, broker, codeCreateUser, map[string]string{"username": user}, map[string]string{
		"username": user, "password": secret, "userType": "Normal"})
	var entries []map[string]any
	for resource, action := range rights {
		entries = append(entries, map[string]any{"resource": resource,
			"actions": strings.Split(action, ","), "decision": "Allow", "sourceIps": []string{}})
	}
	subject := "User:" + user
	administer(t, broker, codeCreateACL, map[string]string{"subject": subject}, map[string]any{
		"subject": subject, "policies": []map[string]any{{"policyType": "Custom", "entries": entries}}})
}

// sendTimeout is for an answer that is looked at: one that is late says neither stored nor refused.
const sendTimeout = time.Minute

// send sends one order as a user.
func send(t *testing.T, stack *devstack.Stack, user, secret, topic string) error {
	t.Helper()
	producer, err := rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: []string{stack.Address(devstack.NameServer)}, Group: "security-test",
		AccessKey: user, SecretKey: secret, Retries: -1, SendTimeout: sendTimeout,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = producer.Send(ctx, rocketmq.Outgoing{Topic: topic, Tag: "pay", Key: "K", Body: []byte("{}")})
	return err
}

// TestControls has one stack for all, as each costs a broker's start.
func TestControls(t *testing.T) {
	stack, pool := secured(t)
	t.Run("Broker", func(t *testing.T) { testBroker(t, stack) })
	t.Run("MessageSize", func(t *testing.T) { testMessageSize(t, stack) })
	t.Run("Consumer", func(t *testing.T) { testConsumer(t, stack) })
	t.Run("Database", func(t *testing.T) { testDatabase(t, stack, pool) })
	t.Run("Rotation", func(t *testing.T) { testRotation(t, stack) })
}

// A producer may publish orders and nothing else; a forged one nothing at all.
func testBroker(t *testing.T, stack *devstack.Stack) {
	broker := stack.Address(devstack.Broker)
	allow(t, broker, producerUser, producerSecret, map[string]string{
		"Topic:" + devstack.OrderTopic: "Pub"})
	for _, c := range []struct {
		name, user, secret, topic string
		stored                    bool
	}{
		{"Order", producerUser, producerSecret, devstack.OrderTopic, true},
		{"ForgedResult", producerUser, producerSecret, devstack.ResultTopic, false},
		{"WrongSecret", producerUser, "not-the-secret-1234", devstack.OrderTopic, false},
		{"UnknownUser", "somebody", producerSecret, devstack.OrderTopic, false},
		{"NoUser", "", "", devstack.OrderTopic, false},
	} {
		err := send(t, stack, c.user, c.secret, c.topic)
		if c.stored != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.stored && !errors.Is(err, rocketmq.ErrRefused) {
			t.Errorf("%s: %v, want it refused", c.name, err)
		}
	}
}

// What is larger than the broker takes is refused there, whoever sends it: consumers unpack what
// they get before they can look at it.
func testMessageSize(t *testing.T, stack *devstack.Stack) {
	const most = 1 << 20 // configs/broker.conf
	producer, err := rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: []string{stack.Address(devstack.NameServer)}, Group: "security-test",
		AccessKey: producerUser, SecretKey: producerSecret, Retries: -1, MaxBodyBytes: 2 * most,
		SendTimeout: sendTimeout,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	for size, stored := range map[int]bool{most / 2: true, most + 1: false} {
		body := make([]byte, size)
		_, _ = rand.Read(body) // or the client would make it small; never fails
		_, err := producer.Send(t.Context(), rocketmq.Outgoing{
			Topic: devstack.OrderTopic, Tag: "pay", Key: "K", Body: body})
		if stored != (err == nil) || !stored && !errors.Is(err, rocketmq.ErrRefused) {
			t.Errorf("%d bytes: %v, want them stored: %v", size, err, stored)
		}
	}
}

// consumerRights are what a consumer needs that leaves dead letters alone.
func consumerRights() map[string]string {
	return map[string]string{
		"Topic:" + devstack.OrderTopic:           "Sub",
		"Topic:" + devstack.ResultTopic:          "Pub",
		"Topic:%RETRY%" + devstack.ConsumerGroup: "Pub,Sub",
		"Group:" + devstack.ConsumerGroup:        "Sub,Get",
	}
}

// A consumer may read orders, publish results and use its own group's redeliveries; it cannot make
// orders.
func testConsumer(t *testing.T, stack *devstack.Stack) {
	broker, group := stack.Address(devstack.Broker), devstack.ConsumerGroup
	allow(t, broker, consumerUser, consumerSecret, consumerRights())
	got := make(chan string, 10)
	c, err := rocketmq.NewConsumer(rocketmq.ConsumerConfig{
		NameServers: []string{stack.Address(devstack.NameServer)},
		AccessKey:   consumerUser, SecretKey: consumerSecret, StartAttempts: 2,
		Group: group, Topic: devstack.OrderTopic, WriteTopics: []string{devstack.ResultTopic},
		MaxCached: 65535, ConsumeTimeout: time.Hour, // or the client's own races are this test's
	}, func(_ context.Context, m payment.Message) payment.Disposition {
		if m.Attempt == 1 {
			return payment.Redeliver
		}
		got <- m.Key
		return payment.Acknowledge
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	defer func() { _ = c.Drain(ctx) }()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := send(t, stack, producerUser, producerSecret, devstack.OrderTopic); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-ctx.Done():
		t.Error("no order came again after it was given back")
	}
	if err := send(t, stack, consumerUser, consumerSecret, devstack.ResultTopic); err != nil {
		t.Errorf("a result: %v", err)
	}
	err = send(t, stack, consumerUser, consumerSecret, devstack.OrderTopic)
	if !errors.Is(err, rocketmq.ErrRefused) {
		t.Errorf("a consumer makes an order: %v, want it refused", err)
	}
}

// The database's certificate is verified, and a password goes to nobody else.
func testDatabase(t *testing.T, stack *devstack.Stack, pool *x509.CertPool) {
	foreign, _, _ := certificate(t)
	account := stack.Migrator()
	for _, c := range []struct {
		name, address string
		trusted       *x509.CertPool
		works         bool
	}{
		{"Verified", account.Address, pool, true},
		{"OtherSigner", account.Address, foreign, false},
		{"OtherHost", strings.Replace(account.Address, "127.0.0.1", "localhost", 1), pool, false},
	} {
		db, err := mysql.Open(mysql.Config{
			Address: c.address, Database: account.Database, User: account.User,
			Password: account.Password,
			TLS:      &tls.Config{RootCAs: c.trusted, MinVersion: tls.VersionTLS12},
		})
		if err != nil {
			t.Fatal(err)
		}
		cipher, err := db.Cipher(t.Context())
		if (err == nil) != c.works || c.works && cipher == "" {
			t.Errorf("%s: cipher %q, %v", c.name, cipher, err)
		}
		if !c.works && !errors.Is(err, idem.ErrUnavailable) {
			t.Errorf("%s: %v, want it unavailable", c.name, err)
		}
		_ = db.Close()
	}
}
