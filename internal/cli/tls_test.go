package cli

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/payment/internal/config"
)

// TestTLS_Verifies: whatever the settings, a connection that is encrypted is to a server whose
// certificate was signed by who is trusted, for the host that was asked for.
func TestTLS_Verifies(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{
		Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		settings config.TLS
		host     string
		newest   uint16 // what the client may offer
		refused  string
	}{
		"Trusted":    {config.TLS{On: true, CAFile: ca}, "127.0.0.1", 0, ""},
		"OtherHost":  {config.TLS{On: true, CAFile: ca}, "127.0.0.2", 0, "127.0.0.2"},
		"NotTrusted": {config.TLS{On: true}, "127.0.0.1", 0, "authority"},
		"OldVersion": {config.TLS{On: true, CAFile: ca}, "127.0.0.1", tls.VersionTLS11, "version"},
	} {
		made, err := TLS(c.settings, "redis")
		if err != nil {
			t.Fatal(err)
		}
		made.ServerName, made.MaxVersion = c.host, c.newest
		dialer := tls.Dialer{Config: made}
		conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v, want it to be about %q", name, err, c.refused)
		}
	}
}

// TestTLS_Mistakes: settings that would leave out what was meant are refused.
func TestTLS_Mistakes(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, settings := range map[string]config.TLS{
		"redis.tls is false":   {CAFile: empty},
		"holds no certificate": {On: true, CAFile: empty},
		"no such file":         {On: true, CAFile: empty + "x"},
	} {
		if made, err := TLS(settings, "redis"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v; want %q", settings, made, err, want)
		}
	}
	if made, err := TLS(config.TLS{}, "redis"); made != nil || err != nil {
		t.Errorf("without TLS: %v, %v", made, err)
	}
}
