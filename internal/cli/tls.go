package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"example.com/payment/internal/config"
)

// TLS makes what verifies a server, or nil for a connection that is not encrypted. The section is
// where the settings are, for what is said of them.
func TLS(c config.TLS, section string) (*tls.Config, error) {
	if !c.On {
		if c.CAFile != "" {
			return nil, Usagef("%s.tls_ca is set, and %s.tls is false: nothing would be encrypted",
				section, section)
		}
		return nil, nil
	}
	made := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return made, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, Usage(fmt.Errorf("%s.tls_ca: %w", section, err))
	}
	made.RootCAs = x509.NewCertPool()
	if !made.RootCAs.AppendCertsFromPEM(text) {
		return nil, Usagef("%s.tls_ca: %s holds no certificate in PEM form", section, c.CAFile)
	}
	return made, nil
}
