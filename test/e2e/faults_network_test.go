package e2e

import (
	"net/http"
	"testing"
	"time"

	"drainer.dev/drainer/test/faults"
)

// TestFaultPartition: two replicas, one after the other, are cut off from the
// API server for longer than its lease lasts.
func TestFaultPartition(t *testing.T) {
	f := disturb(setup(t, 6), "both replicas partitioned, one after the other, for 20 s each", 2)
	f.requestAll("fault")
	for _, proxy := range f.proxies {
		proxy.Sever(true)
		f.last(20*time.Second, time.Second, 2*time.Second, func() {})
		proxy.Sever(false)
	}
	f.recover("fault")
}

// These are what happens to a request, chosen at random.

// failing lets three of ten requests fail, before or after the API server has them.
func (f *trouble) failing(*http.Request) faults.Fault {
	kinds := []faults.Fault{
		{Code: http.StatusInternalServerError},
		{Code: http.StatusServiceUnavailable},
		{Code: http.StatusServiceUnavailable, RetryAfter: 1},
		{Code: http.StatusGatewayTimeout},
		{Cut: faults.Before},
		{Cut: faults.After},
		{Cut: faults.After},
	}
	if f.random.IntN(10) >= 3 {
		return faults.Fault{}
	}
	return kinds[f.random.IntN(len(kinds))]
}

// losing loses every other answer to an eviction.
func (f *trouble) losing(r *http.Request) faults.Fault {
	if faults.IsEviction(r) && f.random.IntN(2) == 0 {
		return faults.Fault{Cut: faults.After}
	}
	return faults.Fault{}
}

// brief ends every watch after a second.
func (f *trouble) brief(*http.Request) faults.Fault { return faults.Fault{Ends: time.Second} }

// gone ends watches after a second and refuses every other one, as a server does
// that no longer has the version.
func (f *trouble) gone(r *http.Request) faults.Fault {
	if faults.IsWatch(r) && f.random.IntN(2) == 0 {
		return faults.Fault{Code: http.StatusGone}
	}
	return f.brief(r)
}

// late lets everything take up to four seconds longer.
func (f *trouble) late(*http.Request) faults.Fault {
	return faults.Fault{Delay: f.between(0, 4*time.Second)}
}

// throttled lets one request a second pass.
func (f *trouble) throttled(*http.Request) faults.Fault {
	if now := time.Now(); !now.Before(f.passes) {
		f.passes = now.Add(time.Second)
		return faults.Fault{}
	}
	return faults.Fault{Code: http.StatusTooManyRequests, RetryAfter: 1}
}

// unknown knows no token.
func (f *trouble) unknown(*http.Request) faults.Fault {
	return faults.Fault{Code: http.StatusUnauthorized}
}

// TestFaultAnswers: requests fail, before or after the API server has them.
func TestFaultAnswers(t *testing.T) {
	f := disturb(setup(t, 6), "30 % of the requests answered 500, 503 or 504, or cut off before or after they are sent", 1)
	f.usual(f.failing)
}

// TestFaultLostAnswers: the API server evicts, and drainer hears of it in one of
// two cases.
func TestFaultLostAnswers(t *testing.T) {
	f := disturb(setup(t, 6), "half of the answers to evictions lost", 1)
	f.usual(f.losing)
}

// TestFaultWatches: no watch lasts.
func TestFaultWatches(t *testing.T) {
	f := disturb(setup(t, 6), "every watch cut off after a second", 1)
	f.usual(f.brief)
}

// TestFaultGone: what watches continue from is often gone.
func TestFaultGone(t *testing.T) {
	f := disturb(setup(t, 6), "watches cut off, and every other one answered 410 Gone", 1)
	f.usual(f.gone)
}

// TestFaultLatency: everything takes longer.
func TestFaultLatency(t *testing.T) {
	f := disturb(setup(t, 6), "2 s more for each request, give or take 2 s", 1)
	f.usual(f.late)
}

// TestFaultThrottled: the API server takes one request a second.
func TestFaultThrottled(t *testing.T) {
	f := disturb(setup(t, 6), "all but one request a second answered 429", 1)
	f.usual(f.throttled)
}

// TestFaultToken: the API server no longer knows the token, and then it does
// again.
func TestFaultToken(t *testing.T) {
	f := disturb(setup(t, 6), "every request answered 401", 1)
	f.usual(f.unknown)
}
