// Command generate writes the files that are made from the Helm chart.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"drainer.dev/drainer/test/chart"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := generate(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(ctx context.Context) error {
	c, err := chart.Open(ctx, os.Stderr, chart.Majors()[0])
	if err != nil {
		return err
	}
	return c.Write(ctx)
}
