package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"drainer.dev/drainer/pkg/metrics"
)

// pipes is a listener without a network, so that a test has a clock of its own.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowClients: a client that takes too long for any part of a request is
// disconnected when the time for that part is over, and not before.
func TestSlowClients(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: h\r\n"
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		sends   string
		want    time.Duration
	}{
		"header":           {nil, request, readHeaderTimeout},
		"body":             {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }, request + "Content-Length: 9\r\n\r\n", readTimeout},
		"reads no answer":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, request + "\r\n", writeTimeout},
		"no other request": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, request + "\r\n", idleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := make(pipes)
				ended := make(chan time.Time, 1)
				server := newServer(test.handler)
				server.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						ended <- time.Now()
					}
				}
				done := make(chan error)
				go func() { done <- server.Serve(listener) }()
				ours, theirs := net.Pipe()
				listener <- theirs
				begun := time.Now()
				if _, err := io.WriteString(ours, test.sends); err != nil {
					t.Fatal(err)
				}
				if name != "reads no answer" {
					go func() { _, _ = io.Copy(io.Discard, ours) }()
				}
				if took := (<-ended).Sub(begun); took < test.want || took > test.want+time.Second {
					t.Errorf("cut off after %v, want %v", took, test.want)
				}
				close(listener)
				if err := <-done; !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				_ = ours.Close()
			})
		})
	}
}

// TestListeners: every listener answers, but nothing that could change anything,
// and refuses a header that is too large.
func TestListeners(t *testing.T) {
	o := defaults()
	o.MetricsBindAddress, o.HealthBindAddress, o.PprofBindAddress = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	var log bytes.Buffer
	ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))))
	scraped, err := scraped(ctx, o, metrics.New("v", "c"), nil)
	if err != nil {
		t.Fatal(err)
	}
	list := endpoints(scraped, o, func() error { return nil })
	stop, err := serve(ctx, list, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	served := regexp.MustCompile(`endpoint="(\w+)" address="([^"]+)"`).FindAllStringSubmatch(log.String(), -1)
	if len(served) != 3 {
		t.Fatalf("served are %v", served)
	}
	for _, s := range served {
		path := map[string]string{"metrics": "/metrics", "health": "/readyz", "pprof": "/debug/pprof/cmdline"}[s[1]]
		for _, test := range []struct {
			method       string
			header, want int
		}{
			{http.MethodGet, 1 << 10, http.StatusOK},
			{http.MethodGet, 2 * maxHeaderBytes, http.StatusRequestHeaderFieldsTooLarge},
			{http.MethodPost, 0, http.StatusMethodNotAllowed},
			{http.MethodPut, 0, http.StatusMethodNotAllowed},
		} {
			request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+s[2]+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Large", strings.Repeat("x", test.header))
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("%s answers %s with a header of %d bytes with %d, want %d", s[1], test.method, test.header, response.StatusCode, test.want)
			}
		}
	}
}

// lines are those of a log, as they are written.
type lines chan string

// Write implements io.Writer.
func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestPlainClient: a client that does not use TLS on a TLS port gets nothing,
// and the log mentions it at a higher verbosity.
func TestPlainClient(t *testing.T) {
	dir := t.TempDir()
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := defaults()
	o.MetricsBindAddress, o.HealthBindAddress = "127.0.0.1:0", "127.0.0.1:0"
	o.MetricsTLS.CertFile, o.MetricsTLS.KeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, text := range map[string][]byte{o.MetricsTLS.CertFile: certificate, o.MetricsTLS.KeyFile: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := make(lines, 10)
	ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log), textlogger.Verbosity(2))))
	scraped, err := scraped(ctx, o, metrics.New("v", "c"), nil)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := serve(ctx, []endpoint{scraped}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	address := regexp.MustCompile(`address="([^"]+)"`).FindStringSubmatch(<-log)[1]
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("the answer is %s", response.Status)
		}
	}
	if line := <-log; !strings.Contains(line, `"A client was cut off" endpoint="metrics" reason="http: TLS handshake error`) {
		t.Errorf("the log says %s", line)
	}
}
