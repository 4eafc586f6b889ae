package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
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

// TestHealthcheck: the command waits until the server is ready.
func TestHealthcheck(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 || r.URL.Path != "/readyz" {
			http.Error(w, "caches are empty", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	out, err := runHealthcheck(t, "--url="+server.URL+"/readyz", "--timeout=1h")
	if err != nil || out != "ok\n" || asked.Load() != 2 {
		t.Errorf("healthcheck says %q, %v after %d requests; want ok after 2", out, err, asked.Load())
	}
}

// answers is a transport without a network, so that a test has a clock of its
// own: it gives one answer after the other, and then none.
type answers []string

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(*a) == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	body := (*a)[0]
	*a = (*a)[1:]
	if body == "" {
		return nil, syscall.ECONNREFUSED
	}
	recorder := httptest.NewRecorder()
	http.Error(recorder, body, http.StatusServiceUnavailable)
	return recorder.Result(), nil
}

// TestHealthcheckUnhealthy: after the timeout, the error says what is wrong
// with the server, and not only that the time is over.
func TestHealthcheckUnhealthy(t *testing.T) {
	for name, test := range map[string]struct {
		answers answers
		want    string
	}{
		"not ready":           {answers{"caches are empty", "caches are empty", "no lease"}, "503 Service Unavailable: no lease"},
		"not ready, then mum": {answers{"caches are empty"}, "503 Service Unavailable: caches are empty"},
		"no answer":           {nil, "deadline exceeded"},
		"nobody":              {answers{"", "", ""}, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := http.DefaultTransport
				http.DefaultTransport = &test.answers
				defer func() { http.DefaultTransport = transport }()
				begun := time.Now()
				_, err := runHealthcheck(t, "--url=http://drainer/readyz", "--timeout=2500ms")
				if took := time.Since(begun); took != 2500*time.Millisecond {
					t.Errorf("asked for %v, want 2.5s", took)
				}
				checkFailure(t, err, test.want, true)
			})
		})
	}
}

// TestHealthcheckUsage: what is wrong with the flags is said, with another exit
// status.
func TestHealthcheckUsage(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no URL":     {nil, `--url="": expected a URL`},
		"no scheme":  {[]string{"--url=localhost:8081/readyz"}, "expected a URL such as http://"},
		"no timeout": {[]string{"--url=http://localhost", "--timeout=0s"}, "--timeout=0s: expected a duration above 0"},
		"argument":   {[]string{"http://localhost"}, "http://localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := runHealthcheck(t, test.args...)
			checkFailure(t, err, test.want, false)
		})
	}
}

// checkFailure checks what an error says, and whether it is about the server.
func checkFailure(t *testing.T, err error, want string, server bool) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("healthcheck says %v, want %q in it", err, want)
	}
	var failed failure
	if errors.As(err, &failed) != server {
		t.Errorf("a failure of the server: %v, want %v", !server, server)
	}
}
