package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Files of a cluster's folder.
const (
	caFile           = "ca.crt"
	servingCertFile  = "apiserver.crt"
	servingKeyFile   = "apiserver.key"
	serviceKeyFile   = "service-accounts.key"
	servicePubFile   = "service-accounts.pub"
	tokensFile       = "tokens.csv"
	auditPolicyFile  = "audit-policy.yaml"
	auditLogFile     = "audit.log"
	adminKubeconfig  = "kubeconfig"
	clusterStateFile = "cluster.json"
	etcdDir          = "etcd"
	backupDir        = "etcd-backup"
)

// user is who a component is to the API server.
type user struct {
	name, group string
	token       string
}

// makeKeys writes the keys and certificates of a new cluster and returns the
// CA's certificate.
func makeKeys(dir string) ([]byte, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "drainer test cluster"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caPEM, err := writeCertificate(filepath.Join(dir, caFile), ca, ca, caKey, caKey)
	if err != nil {
		return nil, err
	}
	servingKey, err := writeKey(filepath.Join(dir, servingKeyFile), "")
	if err != nil {
		return nil, err
	}
	serving := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	if _, err := writeCertificate(filepath.Join(dir, servingCertFile), serving, ca, servingKey, caKey); err != nil {
		return nil, err
	}
	if _, err := writeKey(filepath.Join(dir, serviceKeyFile), filepath.Join(dir, servicePubFile)); err != nil {
		return nil, err
	}
	return caPEM, nil
}

func writeCertificate(path string, cert, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("making the certificate %s: %w", filepath.Base(path), err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return text, writeFile(path, text)
}

// writeKey makes a key and, if public is not empty, writes its public half.
func writeKey(private, public string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	if err := writeFile(private, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})); err != nil || public == "" {
		return key, err
	}
	der, err = x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return key, writeFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// makeTokens gives every user a token that the API server knows.
func makeTokens(dir string, users []user) ([]user, error) {
	var file strings.Builder
	for i := range users {
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return nil, fmt.Errorf("making a token: %w", err)
		}
		users[i].token = hex.EncodeToString(secret)
		fmt.Fprintf(&file, "%s,%s,%s,%q\n", users[i].token, users[i].name, users[i].name, users[i].group)
	}
	return users, writeFile(filepath.Join(dir, tokensFile), []byte(file.String()))
}
