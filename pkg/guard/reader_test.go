package guard_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"drainer.dev/drainer/pkg/guard"
	"drainer.dev/drainer/test/bubble"
)

// server is an API server that knows the tokens reader, who may get /metrics, and
// other, who may not.
type server struct {
	*fake.Clientset
	fails error
	asked int
}

func newServer() *server {
	s := &server{Clientset: fake.NewClientset()}
	s.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		s.asked++
		if token := review.Spec.Token; token == "reader" || token == "other" {
			review.Status.Authenticated = true
			review.Status.User = authenticationv1.UserInfo{
				Username: token, UID: "u-" + token, Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}},
			}
		}
		return true, review, s.fails
	})
	s.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
		spec := &review.Spec
		review.Status.Allowed = fmt.Sprint(spec.User, " ", spec.UID, spec.Groups, spec.Extra, *spec.NonResourceAttributes) ==
			"reader u-reader[g] map[k:[v]] {/metrics get}"
		return true, review, s.fails
	})
	return s
}

func status(h http.Handler, method, path, authorization string) int {
	request, answer := httptest.NewRequest(method, path, http.NoBody), httptest.NewRecorder()
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	h.ServeHTTP(answer, request)
	return answer.Code
}

var metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

// TestReaders: only those who may read are served.
func TestReaders(t *testing.T) {
	s := newServer()
	h := guard.NewReaders(s, metrics)
	for _, test := range []struct {
		method, path, authorization string
		want                        int
	}{
		{http.MethodGet, "/metrics", "", http.StatusUnauthorized},
		{http.MethodGet, "/metrics", "Bearer ", http.StatusUnauthorized},
		{http.MethodGet, "/metrics", "Basic reader", http.StatusUnauthorized},
		{http.MethodGet, "/metrics", "Bearer unknown", http.StatusUnauthorized},
		{http.MethodGet, "/metrics", "Bearer other", http.StatusForbidden},
		{http.MethodGet, "/metrics", "Bearer reader", http.StatusTeapot},
		{http.MethodGet, "/other", "Bearer reader", http.StatusForbidden},
		{http.MethodPost, "/metrics", "Bearer reader", http.StatusForbidden},
	} {
		for range 2 { // The second time from memory.
			if got := status(h, test.method, test.path, test.authorization); got != test.want {
				t.Errorf("%s %s with %q: %d, want %d", test.method, test.path, test.authorization, got, test.want)
			}
		}
	}
	if want := 5; s.asked != want {
		t.Errorf("the API server was asked %d times, want %d", s.asked, want)
	}
}

// TestReadersForget: an answer holds for ten seconds, whatever it is; no answer
// is none, and the API server is asked again at once.
func TestReadersForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		h := guard.NewReaders(s, metrics)
		get := func() int { return status(h, http.MethodGet, "/metrics", "Bearer reader") }
		s.fails = errors.New("the API server is away")
		if got := get(); got != http.StatusServiceUnavailable {
			t.Errorf("without an answer: %d", got)
		}
		s.fails = nil
		if got := get(); got != http.StatusTeapot {
			t.Errorf("once it answers: %d", got)
		}
		s.fails = errors.New("the API server is away")
		bubble.Sleep(9 * time.Second)
		if got := get(); got != http.StatusTeapot {
			t.Errorf("while the answer holds: %d", got)
		}
		bubble.Sleep(2 * time.Second)
		if got := get(); got != http.StatusServiceUnavailable {
			t.Errorf("once it does not: %d", got)
		}
	})
}
