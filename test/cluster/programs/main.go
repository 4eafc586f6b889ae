// Command programs builds what the tests run on, as far as it is missing, and
// says how far it is: go test would say nothing until it is done.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"drainer.dev/drainer/test/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	helms := flag.String("helm", cluster.HelmMajors()[0], "major versions of Helm, of "+strings.Join(cluster.HelmMajors(), ","))
	flag.Parse()
	err := build(ctx, flag.Args(), strings.Split(*helms, ","), os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "programs:", err)
		os.Exit(1)
	}
}

// build builds the sets in their order.
func build(ctx context.Context, sets, helms []string, progress io.Writer) error {
	for _, major := range helms {
		if all := cluster.HelmMajors(); !slices.Contains(all, major) {
			return fmt.Errorf("-helm: %q: expected some of %s", major, strings.Join(all, ","))
		}
	}
	for _, set := range sets {
		var err error
		switch set {
		case "cluster":
			_, err = cluster.Binaries(ctx, progress)
		case "chart":
			_, err = cluster.BuildChartTools(ctx, progress, helms...)
		case "prometheus":
			_, err = cluster.Prometheus(ctx, progress)
		default:
			err = fmt.Errorf("%q: expected cluster, chart or prometheus", set)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
