package cluster

import (
	"context"
	"io"
)

// Prometheus returns the folder with prometheus and promtool, built like the
// cluster's own programs. Nothing here discovers services by a cloud's API.
func Prometheus(ctx context.Context, progress io.Writer) (string, error) {
	const module, pkg, tags = "prometheus", "github.com/prometheus/prometheus/cmd/", "remove_all_sd"
	set := programs{
		name: "prometheus-" + PrometheusVersion,
		all: []binary{
			{name: "prometheus", module: module, pkg: pkg + "prometheus", tags: tags},
			{name: "promtool", module: module, pkg: pkg + "promtool", tags: tags},
		},
		finish: func(context.Context, string, string) error { return nil },
	}
	return set.build(ctx, progress)
}
