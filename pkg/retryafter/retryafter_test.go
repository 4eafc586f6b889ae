package retryafter_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/retryafter"
)

type answer func(*http.Request) (*http.Response, error)

func (f answer) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestLimit(t *testing.T) {
	for _, test := range []struct{ header, want string }{
		{"86400", "300"},
		{"301", "300"},
		{"300", "300"},
		{"1", "1"},
		{"-5", "-5"},
		{"", ""},
		{"Fri, 27 Nov 2026 07:28:00 GMT", "Fri, 27 Nov 2026 07:28:00 GMT"},
		// More than an int holds: client-go does not wait for it either.
		{"99999999999999999999", "99999999999999999999"},
	} {
		transport := retryafter.Limit(5 * time.Minute)(answer(func(*http.Request) (*http.Response, error) {
			header := http.Header{}
			if test.header != "" {
				header.Set("Retry-After", test.header)
			}
			return &http.Response{StatusCode: 503, Header: header, Body: io.NopCloser(strings.NewReader("body"))}, nil
		}))
		response, err := transport.RoundTrip(httptest.NewRequest(http.MethodGet, "/api/v1/pods", nil))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != "body" || response.StatusCode != 503 {
			t.Errorf("%q: the answer is %d %q, %v", test.header, response.StatusCode, body, err)
		}
		if got := response.Header.Get("Retry-After"); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.header, got, test.want)
		}
		_ = response.Body.Close()
	}
}

func TestLimitPassesErrors(t *testing.T) {
	reset := errors.New("connection reset")
	transport := retryafter.Limit(time.Minute)(answer(func(*http.Request) (*http.Response, error) { return nil, reset }))
	response, err := transport.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil))
	if response != nil || !errors.Is(err, reset) {
		t.Errorf("got %v, %v; want the error of the transport", response, err)
	}
}
