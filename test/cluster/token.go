package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// serviceIssuer is who issues the tokens of ServiceAccounts, and for whom.
	serviceIssuer = "https://kubernetes.default.svc"
	// leeway is how much longer than a token says the API server accepts it.
	leeway = time.Minute
)

// ServiceAccountToken signs a token of the ServiceAccount with the API server's
// key, which accepts it until the time, and for up to ten seconds longer what it has
// just accepted. The API server itself issues none for less than ten minutes.
// The audit log shows the ID.
func (c *Cluster) ServiceAccountToken(ctx context.Context, namespace, name, id string, until time.Time) (string, error) {
	client, err := c.Client()
	if err != nil {
		return "", err
	}
	account, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("signing a token for service account %s/%s: %w", namespace, name, err)
	}
	key, err := readKey(filepath.Join(c.Dir, serviceKeyFile))
	if err != nil {
		return "", err
	}
	now := time.Now()
	return sign(key, map[string]any{
		"iss": serviceIssuer, "aud": []string{serviceIssuer}, "sub": "system:serviceaccount:" + namespace + ":" + name, "jti": id,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": until.Add(-leeway).Unix(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": name, "uid": account.UID}},
	})
}

// readKey reads what writeKey has written.
func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading a key: %s is not PEM", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	return key, nil
}

// sign makes a JSON web token of the claims.
func sign(key *ecdsa.PrivateKey, claims map[string]any) (string, error) {
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("writing a token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"ES256"}`)) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return text + "." + encode(signature), nil
}
