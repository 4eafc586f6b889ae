package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/retryafter"
	"drainer.dev/drainer/pkg/watcher"
)

// clients are the clients of the API server. Each has its own limit, so that
// none waits for another, especially not the lease and the writes to nodes.
type clients struct {
	main, watches, nodes, lease, reviews kubernetes.Interface
	evictions                            rest.Interface
}

// base is how to reach the API server.
func (o *options) base() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.ClientConnection.Kubeconfig
	// Without any kubeconfig this falls back to the pod's service account.
	base, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		rules, &clientcmd.ConfigOverrides{CurrentContext: o.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding out how to reach the API server (--kubeconfig, $KUBECONFIG, ~/.kube/config, "+
			"or a pod's service account): %w", err)
	}
	base.UserAgent = "drainer/" + version
	// The API server's processor time is scarcer than network bandwidth.
	base.DisableCompression = true
	base.ContentType = cmp.Or(o.ClientConnection.ContentType, runtime.ContentTypeProtobuf)
	base.AcceptContentTypes = cmp.Or(o.ClientConnection.AcceptContentTypes, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON)
	return base, nil
}

func (o *options) clients() (*clients, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	var c clients
	evictions := kubernetes.Interface(nil)
	limited := func(r *rest.Config) { r.QPS, r.Burst = o.kubeAPILimit(), int(o.ClientConnection.Burst) }
	for _, one := range []struct {
		purpose string
		client  *kubernetes.Interface
		waits   time.Duration
		change  func(*rest.Config)
	}{
		{"reads and events", &c.main, plan.RetryAfterMost, limited},
		{"watches", &c.watches, watcher.RetryAfterMost, limited},
		{"nodes", &c.nodes, plan.RetryAfterMost, limited},
		{"the lease", &c.lease, plan.RetryAfterMost, func(r *rest.Config) { r.Timeout = o.LeaderElection.RenewDeadline.Duration / 2 }},
		// A client that reads metrics causes two requests every ten seconds, or many
		// if it lacks the permission: drainer's own requests do not wait for them.
		{"reviews", &c.reviews, plan.RetryAfterMost, func(r *rest.Config) { r.QPS, r.Burst = 5, 10 }},
		// The evictor has its own limiter, and waits as the newest plan says.
		{"evictions", &evictions, 0, func(r *rest.Config) {
			r.QPS, r.ContentType, r.AcceptContentTypes = -1, runtime.ContentTypeJSON, runtime.ContentTypeJSON
		}},
	} {
		config := rest.CopyConfig(base)
		if one.waits > 0 {
			config.Wrap(retryafter.Limit(one.waits))
		}
		one.change(config)
		if *one.client, err = kubernetes.NewForConfig(config); err != nil {
			return nil, fmt.Errorf("making a client for %s: %w", one.purpose, err)
		}
	}
	c.evictions = evictions.CoreV1().RESTClient()
	return &c, nil
}

// logger writes to w in the format and to the depth of the flags. Libraries
// that use klog's global logger write the same way.
func (o *options) logger(w io.Writer) klog.Logger {
	settings := &slog.HandlerOptions{Level: slog.Level(-o.Logging.Verbosity), ReplaceAttr: replaceAttr}
	var handler slog.Handler = slog.NewTextHandler(w, settings)
	if o.Logging.Format == "json" {
		handler = slog.NewJSONHandler(w, settings)
	}
	logger := logr.FromSlogHandler(handler)
	klog.SetLogger(logger)
	var depth flag.FlagSet
	klog.InitFlags(&depth)
	_ = depth.Set("v", strconv.Itoa(o.Logging.Verbosity))
	return logger
}

// replaceAttr shows the verbosity of a line as the number for -v. It hides the
// bodies of requests and answers, which client-go logs from -v=8 on: a TokenReview has
// the token of whoever reads metrics, and pods have passwords in their environment.
func replaceAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Key == "body" {
		return slog.String(a.Key, "not logged because it can contain secrets")
	}
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && level < slog.LevelInfo {
		a.Value = slog.StringValue("V" + strconv.Itoa(-int(level)))
	}
	return a
}
