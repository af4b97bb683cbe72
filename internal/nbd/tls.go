package nbd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// LoadTLS makes a Server's TLS of PEM files: its certificate and key, and, unless
// ca is "", the certificates of those who sign what every client has to show.
func LoadTLS(cert, key, ca string) (*tls.Config, error) {
	c, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s and its key: %w", cert, err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	if ca == "" {
		return conf, nil
	}
	b, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read the certificates that sign clients: %w", err)
	}
	conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !conf.ClientCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("read the certificates that sign clients: there is none in %s", ca)
	}
	return conf, nil
}
