package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/pkg/plan"
)

// TestEviction: what is sent names the pod's UID, in the version asked for.
func TestEviction(t *testing.T) {
	seconds := int64(7)
	for version, grace := range map[string]*int64{"v1": nil, "v1beta1": &seconds} {
		var path string
		var body struct {
			APIVersion, Kind string
			Metadata         struct{ Namespace, Name string }
			DeleteOptions    metav1.DeleteOptions
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path = r.URL.Path
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusCreated)
		}))
		client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
		if err != nil {
			t.Fatal(err)
		}
		code, err := NewEvictFunc(client.CoreV1().RESTClient(), version)(t.Context(), &plan.Pod{Namespace: "ns", Name: "x", UID: "u1"}, grace)
		server.Close()
		if err != nil || code != http.StatusCreated {
			t.Fatalf("%s: code %d, %v", version, code, err)
		}
		if want := "/api/v1/namespaces/ns/pods/x/eviction"; path != want {
			t.Errorf("%s: sent to %s, want %s", version, path, want)
		}
		if body.APIVersion != "policy/"+version || body.Kind != "Eviction" || body.Metadata.Name != "x" || body.Metadata.Namespace != "ns" {
			t.Errorf("%s: sent %+v", version, body)
		}
		if p := body.DeleteOptions.Preconditions; p == nil || p.UID == nil || *p.UID != "u1" {
			t.Errorf("%s: sent without the pod's UID: %+v", version, body.DeleteOptions)
		}
		if got := body.DeleteOptions.GracePeriodSeconds; (got == nil) != (grace == nil) || got != nil && *got != *grace {
			t.Errorf("%s: grace period %v, want %v", version, got, grace)
		}
	}
}

// TestEvictionAnswers: what the API server, or a proxy before it, answers
// passes through client-go unchanged, and no request is silently repeated.
func TestEvictionAnswers(t *testing.T) {
	const budget = `{"kind":"Status","apiVersion":"v1","status":"Failure","code":429,"reason":"TooManyRequests",` +
		`"message":"Cannot evict pod as it would violate the pod's disruption budget.",` +
		`"details":{"retryAfterSeconds":10,"causes":[{"reason":"DisruptionBudget","message":"The disruption budget p is still being processed by the server."}]}}`
	for name, test := range map[string]struct {
		code        int
		contentType string
		body        string
		retryAfter  string
		want        plan.Outcome
	}{
		"admitted": {
			code: 201, contentType: "application/json", body: `{"kind":"Status","apiVersion":"v1","status":"Success","code":201}`,
			want: plan.Outcome{Reason: plan.Admitted, Code: "201"},
		},
		"a Status": {
			code: 429, contentType: "application/json", body: budget, retryAfter: "10",
			want: plan.Outcome{
				Reason: plan.BudgetUnsynced, Code: "429", Message: "The disruption budget p is still being processed by the server.",
				RetryAfter: 10 * time.Second, Asked: 10 * time.Second,
			},
		},
		"a text with Retry-After": {
			code: 429, contentType: "text/plain", body: "Too many requests, please try again later.", retryAfter: "3",
			want: plan.Outcome{
				Reason: plan.Throttled, Code: "429", Message: "the server has received too many requests and has asked us to try again later (post pods x)",
				RetryAfter: 3 * time.Second, Asked: 3 * time.Second,
			},
		},
		"no such path": {
			code: 404, contentType: "text/plain", body: "404 page not found",
			want: plan.Outcome{Reason: plan.ServerError, Code: "404", Message: "the server could not find the requested resource (post pods x)"},
		},
		"a proxy's page": {
			code: 504, contentType: "text/html", body: "<html>Gateway Timeout</html>",
			want: plan.Outcome{Reason: plan.Unknown, Code: "504", Message: "the server was unable to return a response in the time allotted, but may still be processing the request (post pods x)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, requests := evictAgainst(t.Context(), t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.code)
				fmt.Fprint(w, test.body)
			}))
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if requests != 1 {
				t.Errorf("%d requests were sent, want one", requests)
			}
		})
	}
}

// TestEvictionUnanswered: without an answer the outcome of an eviction is
// unknown: one that takes too long may still happen.
func TestEvictionUnanswered(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, handler := range map[string]http.HandlerFunc{
		"the connection breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the client has gone": func(_ http.ResponseWriter, r *http.Request) {
			// Only then does the server notice that the client has gone.
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		},
	} {
		if got, _ := evictAgainst(ctx, t, handler); got.Reason != plan.Unknown || got.Code != plan.NoAnswer {
			t.Errorf("%s: got %+v, want an unknown outcome", name, got)
		}
	}
}

// evictAgainst sends one eviction to a separate server, and counts what arrives
// there.
func evictAgainst(ctx context.Context, t *testing.T, handler http.Handler) (plan.Outcome, int) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	code, err := NewEvictFunc(client.CoreV1().RESTClient(), "v1")(ctx, &plan.Pod{Namespace: "ns", Name: "x", UID: "u1"}, nil)
	return plan.OutcomeOf(code, err), int(requests.Load())
}

// TestEvictionVersion: the server decides, and no answer does not mean no.
func TestEvictionVersion(t *testing.T) {
	resource := func(version string) string {
		return `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod"},` +
			`{"name":"pods/eviction","namespaced":true,"kind":"Eviction","group":"policy","version":"` + version + `","verbs":["create"]}]}`
	}
	for name, test := range map[string]struct {
		code    int
		body    string
		version string
		problem string
	}{
		"v1":          {200, resource("v1"), "v1", ""},
		"v1beta1":     {200, resource("v1beta1"), "v1beta1", ""},
		"another":     {200, resource("v2"), "", "offers no pods/eviction"},
		"none":        {200, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[]}`, "", "offers no pods/eviction"},
		"unavailable": {503, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"try again","code":503}`, "", "asking the API server"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.code)
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
			if err != nil {
				t.Fatal(err)
			}
			version, err := EvictionVersion(t.Context(), client.Discovery())
			if version != test.version || (err == nil) != (test.problem == "") {
				t.Errorf("got %q, %v; want %q", version, err, test.version)
			}
			if err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("error %q, want %q in it", err, test.problem)
			}
		})
	}
}
