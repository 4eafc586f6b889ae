package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/metrics"
)

// endpoint is one port and what is served there.
type endpoint struct {
	name, flag, address string
	handler             http.Handler
}

func endpoints(o *options, m *metrics.Metrics, ready func() error) []endpoint {
	scrape := http.NewServeMux()
	scrape.Handle("GET /metrics", promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{Registry: m.Registry}))

	health := http.NewServeMux()
	health.HandleFunc("GET /livez", check(func() error { return nil }))
	health.HandleFunc("GET /readyz", check(ready))

	list := []endpoint{
		{"metrics", "metrics-bind-address", o.MetricsBindAddress, scrape},
		{"health", "health-bind-address", o.HealthBindAddress, health},
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
	return append(list, endpoint{"pprof", "pprof-bind-address", o.PprofBindAddress, profiles})
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
// that. A server that fails is told to failed.
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
		server := newServer(e.handler)
		servers = append(servers, server)
		running.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed(fmt.Errorf("serving %s on %s: %w", e.name, listener.Addr(), err))
			}
		})
	}
	return stop, nil
}
