package nbd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes one that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	s, ro, _ := testServer()
	cert, pool := certificate(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	dial := serve(t, s)
	conf := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert}}

	c := dial()
	c.greet(3)
	for _, o := range []option{optList, optGo, optStructuredReply, optSetMeta, option(99)} {
		c.option(o)
		c.replied(o, repTLSNeeded)
	}
	c.option(optStartTLS, "x")
	c.replied(optStartTLS, repInvalid)
	if err := c.secure(conf); err != nil {
		t.Fatal(err)
	}
	c.option(optStartTLS)
	c.replied(optStartTLS, repInvalid)
	c.rest("disk", true)
	c.request(0, cmdRead, 1, 0, 1<<20)
	if !bytes.Equal(assembleChunks(t, c.chunks(1), 0, 1<<20), ro.Bytes()[:1<<20]) {
		t.Error("other bytes")
	}

	// Without TLS there is no export, and without a certificate no TLS.
	c = dial()
	c.greet(3)
	c.option(optExportName, "disk")
	c.closed()
	c = dial()
	c.greet(3)
	err := c.secure(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // TLS 1.3 tells the client afterwards
	}
	if err == nil {
		t.Error("a client without a certificate was let in")
	}
	c = dial()
	c.greet(3)
	c.option(optAbort)
	c.replied(optAbort, repAck)
	c.closed()
}

// TestInjected sends options in clear right behind the one that asks for TLS: they
// must not be taken for a part of what comes through TLS.
func TestInjected(t *testing.T) {
	s, _, _ := testServer()
	cert, pool := certificate(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	c := serve(t, s)()
	c.greet(3)
	c.write(uint64(magicOption), uint32(optStartTLS), uint32(0), uint64(magicOption), uint32(optList), uint32(0))
	c.replied(optStartTLS, repAck)
	if tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}).Handshake() == nil {
		t.Error("TLS began behind what was sent in clear")
	}
}
