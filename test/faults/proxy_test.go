package faults

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// stage is an API server behind a proxy, and a client of it.
type stage struct {
	*Proxy
	client *http.Client
	// seen counts the requests that reached the server.
	seen atomic.Int64
}

func newStage(t *testing.T) *stage {
	s := &stage{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen.Add(1)
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+"\n")
		if IsWatch(r) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	var err error
	if s.Proxy, err = New(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	transport := s.server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = roots
	s.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

func (s *stage) do(t *testing.T, method, path string) (code int, text string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer x")
	response, err := s.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

const eviction = "/api/v1/namespaces/ns/pods/a/eviction"

// TestFaults: each fault is what it says, and the API server gets what it should.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault    Fault
		code     int
		says     string
		seen     int64
		answered int
	}{
		"none":        {Fault{}, http.StatusOK, "Bearer x", 1, 0},
		"a delay":     {Fault{Delay: 50 * time.Millisecond}, http.StatusOK, "Bearer x", 1, 0},
		"an answer":   {Fault{Code: 503, RetryAfter: 7}, 503, `"retryAfterSeconds":7`, 0, 1},
		"cut before":  {Fault{Cut: Before}, 0, "", 0, 0},
		"cut after":   {Fault{Cut: After}, 0, "", 1, 0},
		"ends no GET": {Fault{Ends: time.Nanosecond}, http.StatusOK, "Bearer x", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.Do(func(*http.Request) Fault { return test.fault })
			begun := time.Now()
			code, text, err := s.do(t, http.MethodPost, eviction)
			if code != test.code || (err == nil) != (test.code != 0) || !strings.Contains(text, test.says) {
				t.Errorf("got %d, %q, %v; want %d", code, text, err, test.code)
			}
			if took := time.Since(begun); took < test.fault.Delay {
				t.Errorf("it took %v", took)
			}
			if n := s.seen.Load(); n != test.seen {
				t.Errorf("the server got %d requests, want %d", n, test.seen)
			}
			if n := s.Answered("x")["503"]; n != test.answered {
				t.Errorf("%d evictions were answered by the proxy, want %d", n, test.answered)
			}
			s.Do(nil)
			if code, _, err := s.do(t, http.MethodGet, "/"); code != http.StatusOK || err != nil {
				t.Errorf("without a fault: %d, %v", code, err)
			}
		})
	}
}

// watch begins a watch, and returns what is to be read of it.
func (s *stage) watch(t *testing.T) *bufio.Reader {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v1/pods?watch=true", http.NoBody)
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestWatchEnds: watches end by themselves, and when they are cut off.
func TestWatchEnds(t *testing.T) {
	s := newStage(t)
	s.Do(func(*http.Request) Fault { return Fault{Ends: 10 * time.Millisecond} })
	if _, _, err := s.do(t, http.MethodGet, "/api/v1/pods?watch=true"); err == nil {
		t.Error("the watch ended without an error")
	}
	// The answer to a watch does not end: it is lost once it begins.
	s.Do(func(*http.Request) Fault { return Fault{Cut: After} })
	if _, _, err := s.do(t, http.MethodGet, "/api/v1/pods?watch=true"); err == nil {
		t.Error("the answer to the watch arrived")
	}
	s.Do(nil)
	lines := s.watch(t)
	s.CutOff()
	if _, err := io.ReadAll(lines); err == nil {
		t.Error("the watch was cut off without an error")
	}
}

// TestSever: while the network is silent nothing passes, and nothing that was
// sent then arrives later.
func TestSever(t *testing.T) {
	s := newStage(t)
	lines := s.watch(t)
	s.Sever(true)
	if _, err := io.ReadAll(lines); err == nil {
		t.Error("the watch continued")
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := s.do(t, http.MethodPost, eviction)
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("the request did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	s.Sever(false)
	if err := <-ended; err == nil {
		t.Error("a request of the silent time was answered")
	}
	if n := s.seen.Load(); n != 1 {
		t.Errorf("the server got %d requests, want the watch alone", n)
	}
	if code, _, err := s.do(t, http.MethodGet, "/"); code != http.StatusOK || err != nil {
		t.Errorf("afterwards: %d, %v", code, err)
	}
}
