package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strconv"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// clients are the ways to the API server. Each has its own limit, so that none
// waits behind another: the lease and the writes to nodes least of all.
type clients struct {
	main, watches, nodes, lease kubernetes.Interface
	evictions                   rest.Interface
}

func (o *options) clients() (*clients, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	// Without any kubeconfig this falls back to the pod's service account.
	base, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		rules, &clientcmd.ConfigOverrides{CurrentContext: o.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding out how to reach the API server (--kubeconfig, $KUBECONFIG, ~/.kube/config, "+
			"or a pod's service account): %w", err)
	}
	base.UserAgent = "drainer/" + version
	// The API server's processor is scarcer than the network to it.
	base.DisableCompression = true
	base.ContentType = runtime.ContentTypeProtobuf
	base.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON

	var c clients
	for purpose, client := range map[string]*kubernetes.Interface{"reads and events": &c.main, "watches": &c.watches, "nodes": &c.nodes} {
		limited := rest.CopyConfig(base)
		limited.QPS, limited.Burst = o.kubeAPILimit(), o.kubeAPIBurst
		made, err := kubernetes.NewForConfig(limited)
		if err != nil {
			return nil, fmt.Errorf("making a client for %s: %w", purpose, err)
		}
		*client = made
	}
	// The evictor has its own limiter, over which a plan has the say.
	unlimited := rest.CopyConfig(base)
	unlimited.QPS = -1
	unlimited.ContentType, unlimited.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	evictions, err := kubernetes.NewForConfig(unlimited)
	if err != nil {
		return nil, fmt.Errorf("making a client for evictions: %w", err)
	}
	election := rest.CopyConfig(base)
	election.Timeout = o.renewDeadline / 2
	if c.lease, err = kubernetes.NewForConfig(election); err != nil {
		return nil, fmt.Errorf("making a client for the lease: %w", err)
	}
	c.evictions = evictions.CoreV1().RESTClient()
	return &c, nil
}

// logger writes to w in the format and to the depth of the flags. Libraries
// that use klog's global logger write the same way.
func (o *options) logger(w io.Writer) klog.Logger {
	settings := &slog.HandlerOptions{Level: slog.Level(-o.verbosity), ReplaceAttr: nameLevel}
	var handler slog.Handler = slog.NewTextHandler(w, settings)
	if o.loggingFormat == "json" {
		handler = slog.NewJSONHandler(w, settings)
	}
	logger := logr.FromSlogHandler(handler)
	klog.SetLogger(logger)
	var depth flag.FlagSet
	klog.InitFlags(&depth)
	_ = depth.Set("v", strconv.Itoa(o.verbosity))
	return logger
}

// nameLevel shows the depth of a line the way that -v asks for it.
func nameLevel(_ []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && level < slog.LevelInfo {
		a.Value = slog.StringValue("V" + strconv.Itoa(-int(level)))
	}
	return a
}
