package guard

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"

	"k8s.io/klog/v2"
)

// Certificate is a certificate in two files, which may be replaced: a Secret that
// is mounted changes when the certificate is renewed.
type Certificate struct {
	certFile, keyFile string
	logger            klog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	of     state
}

// state tells one content of the files from another.
type state struct{ cert, key string }

// Load reads the certificate. Errors with later versions are logged.
func Load(logger klog.Logger, certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := c.refresh(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config serves the certificate as it is in the files when a client connects, or,
// while these cannot be read, as it was last.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(); err != nil {
		c.logger.Error(err, "Cannot reload the certificate; the previous one is still served")
	}
	return c.loaded, nil
}

func (c *Certificate) refresh() error {
	now, err := c.state()
	if err != nil || now == c.of {
		return err
	}
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("reading the certificate in %s and its key in %s: %w", c.certFile, c.keyFile, err)
	}
	c.loaded, c.of = &loaded, now
	return nil
}

func (c *Certificate) state() (state, error) {
	var s state
	for _, file := range []struct {
		path string
		to   *string
	}{{c.certFile, &s.cert}, {c.keyFile, &s.key}} {
		info, err := os.Stat(file.path)
		if err != nil {
			return state{}, fmt.Errorf("looking for the certificate: %w", err)
		}
		*file.to = fmt.Sprint(info.ModTime().UnixNano(), info.Size())
	}
	return s, nil
}
