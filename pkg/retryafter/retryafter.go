// Package retryafter bounds how long an answer of the API server can keep a
// client waiting. client-go waits as long as the header Retry-After says before
// it repeats a request, so one answer of a proxy that is down for maintenance
// can stop a watch for a day.
package retryafter

import (
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/klog/v2"
)

// Limit returns what makes a transport shorten the header Retry-After to most,
// in whole seconds, for rest.Config.Wrap. It logs, at most once a minute, an answer that it
// shortens, to the logger of the request's context.
func Limit(most time.Duration) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return &limiter{next: next, most: most, log: rate.Sometimes{Interval: time.Minute}}
	}
}

type limiter struct {
	next http.RoundTripper
	most time.Duration
	log  rate.Sometimes
}

// RoundTrip implements http.RoundTripper.
func (l *limiter) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(r)
	if err != nil {
		return response, err
	}
	// Like client-go, this leaves dates alone: the API server sends seconds.
	asked, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if most := int(l.most / time.Second); err == nil && asked > most {
		l.log.Do(func() {
			klog.FromContext(r.Context()).Info("Shortened the wait that the API server asked for", "method", r.Method, "path", r.URL.Path,
				"code", response.StatusCode, "asked", strconv.Itoa(asked)+"s", "kept", l.most)
		})
		response.Header.Set("Retry-After", strconv.Itoa(most))
	}
	return response, nil
}

// WrappedRoundTripper returns the transport whose answers are shortened, for
// client-go to close idle connections.
func (l *limiter) WrappedRoundTripper() http.RoundTripper { return l.next }
