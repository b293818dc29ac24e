package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"ramjet/appliance/durable"
)

// Certificate returns the box's certificate. The first time it is made, with the names and addresses that the box has at
// that moment; it is not made anew when they change, for people and programs know it by its fingerprint.
func certificate(dir string, log *slog.Logger) (*tls.Certificate, error) {
	file := filepath.Join(dir, "box.pem")
	text, err := durable.Read(file)
	if err != nil {
		return nil, err
	}
	if text != nil {
		c, err := tls.X509KeyPair(text, text)
		if err == nil {
			log.Info("the box's certificate", "fingerprint", Fingerprint(c.Leaf.Raw))
			return &c, nil
		}
		aside := file + ".broken"
		log.Error("the certificate cannot be used, making another one", "moved to", aside, "err", err)
		if err := os.Rename(file, aside); err != nil {
			return nil, err
		}
	}
	if text, err = newCertificate(); err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(durable.MakeDir(dir), durable.Write(file, text)); err != nil {
		log.Error("the certificate is not kept: the next start makes another one", "err", err)
	}
	log.Info("the box has a new certificate", "fingerprint", Fingerprint(c.Leaf.Raw))
	return &c, nil
}

// The time in which the certificate is valid: a box without a clock starts in some year of the past.
var (
	notBefore = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // RFC 5280 §4.1.2.5: none that is well defined
)

// newCertificate returns a self-signed certificate and its key, in PEM form.
func newCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "ramjet"
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: []string{name, name + ".local", "localhost"},
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if n, is := a.(*net.IPNet); is && !n.IP.IsLinkLocalUnicast() {
			template.IPAddresses = append(template.IPAddresses, n.IP)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), nil
}

// Fingerprint is how people compare certificates (in DER form), in the form of ssh.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return fmt.Sprintf("SHA256:%s", base64.RawStdEncoding.EncodeToString(sum[:]))
}
