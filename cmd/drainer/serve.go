package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/guard"
	"drainer.dev/drainer/pkg/metrics"
)

// endpoint is one port and what is served there.
type endpoint struct {
	name, flag, address string
	handler             http.Handler
	// tls is nil for plain HTTP.
	tls *tls.Config
}

// scraped is the endpoint of metrics. The client checks who may read them, if
// reading is restricted.
func scraped(ctx context.Context, o *options, m *metrics.Metrics, client kubernetes.Interface) (endpoint, error) {
	scrape := http.NewServeMux()
	scrape.Handle("GET /metrics", promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{Registry: m.Registry}))
	e := endpoint{name: "metrics", flag: "metrics-bind-address", address: o.MetricsBindAddress, handler: scrape}
	if o.MetricsTLS.CertFile == "" {
		return e, nil
	}
	certificate, err := guard.Load(klog.FromContext(ctx), o.MetricsTLS.CertFile, o.MetricsTLS.KeyFile)
	if err != nil {
		return endpoint{}, err
	}
	e.tls = certificate.Config()
	if o.MetricsTLS.Authorize {
		e.handler = guard.NewReaders(client, scrape)
	}
	return e, nil
}

// endpoints are all endpoints: metrics, health and, if it is on, pprof.
func endpoints(metrics endpoint, o *options, ready func() error) []endpoint {
	health := http.NewServeMux()
	health.HandleFunc("GET /livez", check(func() error { return nil }))
	health.HandleFunc("GET /readyz", check(ready))

	list := []endpoint{
		metrics,
		{name: "health", flag: "health-bind-address", address: o.HealthBindAddress, handler: health},
	}
	if o.PprofBindAddress == "" {
		return list
	}
	profiles := http.NewServeMux()
	profiles.HandleFunc("GET /debug/pprof/", pprof.Index)
	profiles.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	profiles.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	profiles.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	profiles.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	return append(list, endpoint{name: "pprof", flag: "pprof-bind-address", address: o.PprofBindAddress, handler: profiles})
}

func check(problem func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := problem(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	}
}

// serve listens on every endpoint and serves until ctx ends; stop waits for
// that. An error of a server goes to failed.
func serve(ctx context.Context, list []endpoint, failed func(error)) (stop func(), err error) {
	var running sync.WaitGroup
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			_ = s.Close()
		}
		running.Wait()
	}
	for _, e := range list {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", e.address)
		if err != nil {
			stop()
			return nil, fmt.Errorf("--%s=%s: %w", e.flag, e.address, err)
		}
		klog.FromContext(ctx).Info("Serving", "endpoint", e.name, "address", listener.Addr().String())
		if e.tls != nil {
			listener = tls.NewListener(listener, e.tls)
		}
		server := newServer(e.handler)
		server.ErrorLog = log.New(complaints{klog.FromContext(ctx).WithValues("endpoint", e.name)}, "", 0)
		servers = append(servers, server)
		running.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed(fmt.Errorf("serving %s on %s: %w", e.name, listener.Addr(), err))
			}
		})
	}
	return stop, nil
}

// complaints are what a server logs about clients, such as one that does not
// use TLS.
type complaints struct{ logger klog.Logger }

// Write implements io.Writer.
func (c complaints) Write(line []byte) (int, error) {
	c.logger.V(2).Info("A client was cut off", "reason", string(bytes.TrimSpace(line)))
	return len(line), nil
}
