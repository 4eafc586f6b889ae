package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"drainer.dev/drainer/test/cluster"
)

func main() {
	cluster.KeeperMain()
	only := flag.Bool("draw", false, "draw from what was recorded before, without a cluster")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, onlyDraw bool) error {
	const root = "."
	if _, err := os.Stat("docs"); err != nil {
		return errors.New("there is no folder docs here: run it at the root of the checkout")
	}
	if !onlyDraw {
		if err := record(ctx, root); err != nil {
			return err
		}
	}
	return drawAll(ctx, root)
}
