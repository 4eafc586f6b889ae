package apiserver

import (
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rule changes what happens to some requests. The first that matches counts.
type Rule struct {
	// Match chooses the requests.
	Match func(Request) bool
	// Times is to how many requests the rule applies; 0 for all.
	Times int
	// Before and After are delays before and after the request is handled, on
	// top of the latency.
	Before, After time.Duration
	// Answer is sent instead of handling the request, if it is not nil.
	Answer *Answer
	// CarriedOut handles the request anyway, before Answer is sent.
	CarriedOut bool
	// Break breaks the connection.
	Break Break
}

// Break says when a connection breaks.
type Break int

// When a connection breaks.
const (
	// BreakNever does not break it.
	BreakNever Break = iota
	// BreakBefore breaks it before the request is handled.
	BreakBefore
	// BreakAfter breaks it after the request was handled, before the answer.
	BreakAfter
)

// Answer is an answer given by a rule.
type Answer struct {
	Code int
	// RetryAfter sets the header Retry-After, in whole seconds, if it is not 0.
	RetryAfter time.Duration
	// Text is the body in plain text, as proxies and filters send it; without
	// it the body is a Status, Error or success.
	Text string
	// Error is a StatusError, whose code counts.
	Error error
}

// AnswerError answers with a StatusError.
func AnswerError(err error) *Answer { return &Answer{Error: err} }

// AnswerText answers as a proxy does, or the API server's own filters.
func AnswerText(code int, text string, retryAfter time.Duration) *Answer {
	return &Answer{Code: code, Text: text, RetryAfter: retryAfter}
}

// AnswerSuccess answers an eviction with success, and nothing is evicted.
func AnswerSuccess() *Answer { return &Answer{Code: http.StatusCreated} }

// response is the HTTP response of the answer.
func (a *Answer) response() *http.Response {
	switch {
	case a.Error != nil:
		return failure(a.Error)
	case a.Text != "":
		return respond(a.Code, "text/plain; charset=utf-8", []byte(a.Text), a.RetryAfter)
	default:
		return respondJSON(a.Code, success(a.Code))
	}
}

func success(code int) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: int32(code),
	}
}

// ruleFor is the rule for a request, used up once more. The lock is held.
func (s *Server) ruleFor(r *Request) Rule {
	for i, rule := range s.rules {
		if !rule.Match(*r) {
			continue
		}
		if rule.Times == 1 {
			s.rules = append(s.rules[:i:i], s.rules[i+1:]...)
		} else if rule.Times > 1 {
			rule.Times--
		}
		return *rule
	}
	return Rule{}
}
