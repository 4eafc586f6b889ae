package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
)

// TestLoggerHidesBodies: the bodies of requests and answers are in no log, whoever
// logs them; the lines that they are in are.
func TestLoggerHidesBodies(t *testing.T) {
	t.Cleanup(func() {
		defaults().logger(io.Discard) // As deep as without the test.
		klog.ClearLogger()
	})
	for _, format := range []string{"text", "json"} {
		var log strings.Builder
		o := defaults()
		o.Logging.Format, o.Logging.Verbosity = format, 10
		logger := o.logger(&log)
		for _, l := range []klog.Logger{logger, klog.Background()} {
			l.V(8).Info("Request Body", "body", "the token", "verb", "POST")
		}
		if text := log.String(); strings.Contains(text, "the token") || strings.Count(text, "POST") != 2 || !strings.Contains(text, "V8") {
			t.Errorf("the log as %s is\n%s", format, text)
		}
	}
}

// TestClientsShortenRetryAfter: no client waits for a day because one answer
// says so, except that evictions keep what was asked, for the plan to shorten.
func TestClientsShortenRetryAfter(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "86400")
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	o := defaults()
	o.ClientConnection.Kubeconfig = kubeconfig
	c, err := o.clients()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		client rest.Interface
		want   int
	}{
		"main": {c.main.CoreV1().RESTClient(), 300}, "watches": {c.watches.CoreV1().RESTClient(), 10},
		"nodes": {c.nodes.CoreV1().RESTClient(), 300}, "lease": {c.lease.CoordinationV1().RESTClient(), 300},
		"reviews": {c.reviews.AuthorizationV1().RESTClient(), 300}, "evictions": {c.evictions, 86400},
	} {
		err := test.client.Get().AbsPath("/api/v1/pods").MaxRetries(0).Do(t.Context()).Error()
		if seconds, _ := apierrors.SuggestsClientDelay(err); seconds != test.want {
			t.Errorf("%s: waits for %d s after %v, want %d", name, seconds, err, test.want)
		}
	}
}
