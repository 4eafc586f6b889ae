package guard_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"drainer.dev/drainer/pkg/guard"
)

// files are those of a certificate.
type files struct {
	t         *testing.T
	cert, key string
}

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

// write replaces both files, as a mounted Secret does: by other ones.
func (f files) write(certificate, key []byte) {
	f.t.Helper()
	for path, text := range map[string][]byte{f.cert: certificate, f.key: key} {
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f files) writeFor(host string) {
	f.t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(certificate, key)
}

// served is the host of the certificate that a client sees.
func served(t *testing.T, config *tls.Config) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { _ = tls.Server(theirs, config).Handshake() }()
	var host string
	client := tls.Client(ours, &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // The certificate is looked at, not trusted.
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			parsed, err := x509.ParseCertificate(raw[0])
			if err == nil {
				host = parsed.DNSNames[0]
			}
			return err
		},
	})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return host
}

// TestCertificate: the next client gets a certificate that was replaced, and no
// client gets one that cannot be read.
func TestCertificate(t *testing.T) {
	f := newFiles(t)
	f.writeFor("first")
	var log bytes.Buffer
	c, err := guard.Load(textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))), f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	if got := served(t, config); got != "first" {
		t.Errorf("served is the certificate of %q", got)
	}
	f.writeFor("the second host")
	if got := served(t, config); got != "the second host" {
		t.Errorf("after it was replaced, served is the certificate of %q", got)
	}
	for _, broken := range []func(){
		func() { f.write([]byte("no certificate"), []byte("no key")) },
		func() { _ = os.Remove(f.cert) },
	} {
		log.Reset()
		broken()
		if got := served(t, config); got != "the second host" {
			t.Errorf("with broken files, served is the certificate of %q", got)
		}
		if !strings.Contains(log.String(), "Cannot reload the certificate") {
			t.Errorf("nothing is said of it: %s", &log)
		}
	}
	f.writeFor("the third")
	if got := served(t, config); got != "the third" {
		t.Errorf("once they are right again, served is the certificate of %q", got)
	}
}

// TestCertificateMissing: drainer does not start without the certificate, and
// names the file.
func TestCertificateMissing(t *testing.T) {
	f := newFiles(t)
	if _, err := guard.Load(klog.Background(), f.cert, f.key); err == nil || !strings.Contains(err.Error(), f.cert) {
		t.Errorf("without files the error is %v", err)
	}
	f.writeFor("a")
	if _, err := guard.Load(klog.Background(), f.key, f.cert); err == nil || !strings.Contains(err.Error(), f.key) {
		t.Errorf("with the files mixed up the error is %v", err)
	}
}
