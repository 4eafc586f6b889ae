package drain

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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

// TestEvictionVersion: what the server says counts, and no answer is not "no".
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
