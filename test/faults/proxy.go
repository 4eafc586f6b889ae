package faults

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Cut says where a request is cut off.
type Cut int

// Where it may be.
const (
	// Not at all.
	Not Cut = iota
	// Before the API server has it.
	Before
	// After the API server has answered it, and before the answer arrives.
	After
)

// Fault is what happens to one request. The zero Fault is none.
type Fault struct {
	// Delay is how long the request waits before anything else happens.
	Delay time.Duration
	// Code, if it is not 0, is what the request is answered with; the API server
	// does not get it. RetryAfter, in seconds, goes with it if it is not 0.
	Code, RetryAfter int
	Cut              Cut
	// Ends, if it is not 0, is when a watch is cut off.
	Ends time.Duration
}

// Proxy is a proxy of an API server.
type Proxy struct {
	// URL is its address, CA the certificate by which clients know it.
	URL string
	CA  []byte

	server *httptest.Server
	mu     sync.Mutex
	rule   func(*http.Request) Fault
	// severed is not nil while nothing passes, and is closed when it does again.
	severed chan struct{}
	// parted is closed when the requests under way are cut off.
	parted chan struct{}
	// answered counts the evictions that were answered here, by token and code.
	answered map[string]map[string]int
}

// New starts a proxy of the API server that the config is for. Its clients use
// their own tokens. The caller closes it.
func New(config *rest.Config) (*Proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the API server: %w", err)
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of the API server: %w", err)
	}
	p := &Proxy{parted: make(chan struct{}), answered: map[string]map[string]int{}}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		// An answer that is lost stays lost: the program sees what it would see from
		// the API server.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, forward) }))
	p.server.EnableHTTP2 = true
	p.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.StartTLS()
	p.URL = p.server.URL
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return p, nil
}

// Close cuts off what is under way and ends the proxy.
func (p *Proxy) Close() {
	p.Sever(false)
	p.CutOff()
	p.server.CloseClientConnections()
	p.server.Close()
}

// Do lets the rule say what happens to each request from now on; nil for no
// faults. It is called from many goroutines, one at a time.
func (p *Proxy) Do(rule func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
}

// Sever lets nothing through, in either direction, until it is called with
// false. Requests that arrive in the meantime wait, as in a network that drops
// packets, and are cut off at the end.
func (p *Proxy) Sever(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case yes && p.severed == nil:
		p.severed = make(chan struct{})
		close(p.parted)
		p.parted = make(chan struct{})
	case !yes && p.severed != nil:
		close(p.severed)
		p.severed = nil
	}
}

// CutOff cuts off the requests under way.
func (p *Proxy) CutOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.parted)
	p.parted = make(chan struct{})
}

// Answered counts the evictions that came with the bearer token and were answered
// here, by code.
func (p *Proxy) Answered(token string) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.answered[token])
}

// decide is what happens to a request, what it has to wait for, if anything, and
// what cuts it off.
func (p *Proxy) decide(r *http.Request) (f Fault, severed, parted <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.severed != nil {
		return Fault{Cut: Before}, p.severed, p.parted
	}
	if p.rule != nil {
		f = p.rule(r)
	}
	if f.Code != 0 && IsEviction(r) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if p.answered[token] == nil {
			p.answered[token] = map[string]int{}
		}
		p.answered[token][strconv.Itoa(f.Code)]++
	}
	return f, nil, p.parted
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	f, severed, parted := p.decide(r)
	if severed != nil {
		select {
		case <-severed:
		case <-r.Context().Done():
		}
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case f.Cut == Before:
		panic(http.ErrAbortHandler)
	case f.Code != 0:
		answer(w, f)
	case f.Cut == After:
		lose(r, forward)
		panic(http.ErrAbortHandler)
	default:
		pass(w, r, forward, f, parted)
	}
}

// lose passes a request on, and loses the answer: that to a watch once it begins,
// because it does not end.
func lose(r *http.Request, forward http.Handler) {
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	begun := func() {}
	if IsWatch(r) {
		begun = cut
	}
	forward.ServeHTTP(&sink{header: http.Header{}, begun: begun}, r.WithContext(ctx))
}

// pass passes a request on until it is answered, or cut off.
func pass(w http.ResponseWriter, r *http.Request, forward http.Handler, f Fault, parted <-chan struct{}) {
	ends := (<-chan time.Time)(nil)
	if f.Ends > 0 && IsWatch(r) {
		timer := time.NewTimer(f.Ends)
		defer timer.Stop()
		ends = timer.C
	}
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ends:
		case <-parted:
		case <-done:
			return
		}
		cut()
	}()
	forward.ServeHTTP(w, r.WithContext(ctx))
	if ctx.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

// answer answers a request as the API server would refuse it.
func answer(w http.ResponseWriter, f Fault) {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: int32(f.Code), Message: "a fault of the test: " + http.StatusText(f.Code), Reason: reasons[f.Code],
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		status.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(f.RetryAfter)}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Code)
	_ = json.NewEncoder(w).Encode(&status)
}

var reasons = map[int]metav1.StatusReason{
	http.StatusGone: metav1.StatusReasonExpired, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
	http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
	http.StatusGatewayTimeout: metav1.StatusReasonTimeout, http.StatusUnauthorized: metav1.StatusReasonUnauthorized,
}

// IsWatch is true for a request that begins a watch.
func IsWatch(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

// IsEviction is true for a POST to pods/eviction.
func IsEviction(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/eviction")
}
