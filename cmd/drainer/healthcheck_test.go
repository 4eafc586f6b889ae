package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func runHealthcheck(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	c := command()
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SetArgs(append([]string{"healthcheck"}, args...))
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// TestHealthcheck: a server that becomes ready is waited for.
func TestHealthcheck(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 || r.URL.Path != "/readyz" {
			http.Error(w, "caches are empty", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	out, err := runHealthcheck(t, "--url="+server.URL+"/readyz")
	if err != nil || out != "ok\n" || asked.Load() != 2 {
		t.Errorf("healthcheck says %q, %v after %d requests; want ok after 2", out, err, asked.Load())
	}
}

// TestHealthcheckFails: what is wrong with the server, or with the flags, is
// said, and the two have different exit statuses.
func TestHealthcheckFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "caches are empty", http.StatusServiceUnavailable)
	}))
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	defer server.Close()
	defer hung.Close()
	for name, test := range map[string]struct {
		args    []string
		want    string
		failure bool
	}{
		"not ready":  {[]string{"--url=" + server.URL, "--timeout=100ms"}, "503 Service Unavailable: caches are empty", true},
		"no answer":  {[]string{"--url=" + hung.URL, "--timeout=100ms"}, "deadline exceeded", true},
		"nobody":     {[]string{"--url=" + gone.URL, "--timeout=100ms"}, "connection refused", true},
		"no URL":     {nil, `--url="": expected a URL`, false},
		"no scheme":  {[]string{"--url=localhost:8081/readyz"}, "expected a URL such as http://", false},
		"no timeout": {[]string{"--url=" + server.URL, "--timeout=0s"}, "--timeout=0s: expected a duration above 0", false},
		"argument":   {[]string{"http://localhost"}, "http://localhost", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := runHealthcheck(t, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("healthcheck says %v, want %q in it", err, test.want)
			}
			var failed failure
			if errors.As(err, &failed) != test.failure {
				t.Errorf("a failure of the server: %v, want %v", !test.failure, test.failure)
			}
		})
	}
}
