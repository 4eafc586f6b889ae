package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// errReset is what a client sees of a connection that breaks.
var errReset = errors.New("read: connection reset by peer")

// Transport connects one client to the server.
type Transport struct {
	server *Server
	name   string
	cut    chan struct{}
	once   sync.Once
}

// Transport returns a transport for a client of that name.
func (s *Server) Transport(name string) *Transport {
	return &Transport{server: s, name: name, cut: make(chan struct{})}
}

// Cut breaks all connections of the client, permanently. The server completes the
// requests that it is handling.
func (t *Transport) Cut() { t.once.Do(func() { close(t.cut) }) }

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	s := t.server
	request, rule := s.arrive(requestOf(t.name, r, body))
	response, err := t.answer(r.Context(), request, rule)
	s.mu.Lock()
	defer s.mu.Unlock()
	request.Ended = time.Now()
	if err != nil {
		request.Failure = err.Error()
	} else {
		request.Code = response.StatusCode
		response.Request = r
	}
	if s.observer.Answered != nil {
		s.observer.Answered(*request)
	}
	s.announce()
	return response, err
}

// arrive notes a request and finds the rule for it.
func (s *Server) arrive(r *Request) (*Request, Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r)
	return r, s.ruleFor(r)
}

// answer takes a request through its delays.
func (t *Transport) answer(ctx context.Context, r *Request, rule Rule) (*http.Response, error) {
	s := t.server
	if err := t.pass(ctx, s.latency/2); err != nil {
		return nil, err
	}
	s.received(r)
	if err := t.pass(ctx, rule.Before); err != nil {
		return nil, err
	}
	if rule.Break == BreakBefore {
		return nil, errReset
	}
	var response *http.Response
	after := s.latency/2 + rule.After
	if rule.Answer == nil || rule.CarriedOut {
		denied, err := t.admit(ctx, r)
		if err != nil {
			return nil, err
		}
		if response = denied; denied == nil {
			var takes time.Duration
			response, takes = s.handle(ctx, t, r)
			after += takes
		}
	}
	if rule.Answer != nil {
		response = rule.Answer.response()
	}
	if err := t.pass(ctx, after); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	if rule.Break == BreakAfter {
		_ = response.Body.Close()
		return nil, errReset
	}
	return response, nil
}

// admit shows an eviction to its webhook, which may take its time.
func (t *Transport) admit(ctx context.Context, r *Request) (*http.Response, error) {
	if r.Subresource != "eviction" {
		return nil, nil
	}
	t.server.mu.Lock()
	hook := t.server.cluster.Webhook(r.Namespace)
	t.server.mu.Unlock()
	if hook == nil {
		return nil, nil
	}
	if err := t.pass(ctx, hook.Takes); err != nil {
		return nil, err
	}
	if hook.Error != nil {
		return failure(hook.Error), nil
	}
	return nil, nil
}

// pass waits until the time has passed, or the client has gone.
func (t *Transport) pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.cut:
		return errReset
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	select {
	case <-t.cut:
		return errReset
	default:
		return ctx.Err()
	}
}

func respond(code int, contentType string, body []byte, retryAfter time.Duration) *http.Response {
	header := http.Header{"Content-Type": {contentType}}
	if retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	return &http.Response{
		StatusCode: code, Status: strconv.Itoa(code) + " " + http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func respondJSON(code int, object any) *http.Response {
	body, err := json.Marshal(object)
	if err != nil {
		return failure(apierrors.NewInternalError(err))
	}
	return respond(code, "application/json", body, 0)
}

// failure is the response of an error, as the API server writes it.
func failure(err error) *http.Response {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.APIVersion, status.Kind = "v1", "Status"
	body, err := json.Marshal(status)
	if err != nil {
		panic(err) // A Status is plain data.
	}
	retryAfter := time.Duration(0)
	if status.Details != nil {
		retryAfter = time.Duration(status.Details.RetryAfterSeconds) * time.Second
	}
	return respond(int(status.Code), "application/json", body, retryAfter)
}
