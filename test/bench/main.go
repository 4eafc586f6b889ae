// Command bench measures drainer beside what people use today, on one local
// control plane, in one run, one after the other and over again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
)

func main() {
	var (
		chosen = flag.String("scenarios", "", "comma-separated names of scenarios; all without it")
		runs   = flag.Int("runs", 3, "how often each contender runs; medians are shown")
		out    = flag.String("out", "", "folder for benchmarks.json, benchmarks.md and plots; none without it")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *chosen, *runs, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, chosen string, runs int, out string) (err error) {
	list, err := choose(chosen)
	if err != nil {
		return err
	}
	if runs < 1 {
		return fmt.Errorf("-runs=%d: expected at least 1", runs)
	}
	dir, err := os.MkdirTemp("", "drainer-bench-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(os.Stderr, "Logs are in", dir)
		}
	}()
	s, err := newStage(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.cluster.Stop()) }()
	var results []Result
	for i, sc := range list {
		of, err := s.play(ctx, sc, runs)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", sc.Name, err)
		}
		results = append(results, of...)
		printTable(os.Stdout, sc, of)
		if out == "" {
			continue
		}
		// What was measured is kept if a later scenario fails.
		if err := writeReport(out, list[:i+1], results, runs); err != nil {
			return err
		}
	}
	return nil
}

func choose(names string) ([]Scenario, error) {
	all := scenarios()
	if names == "" {
		return all, nil
	}
	var list []Scenario
	var known []string
	for _, sc := range all {
		known = append(known, sc.Name)
	}
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, sc := range all {
			if sc.Name == name {
				list, found = append(list, sc), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-scenarios=%s: expected some of %s", names, strings.Join(known, ", "))
		}
	}
	return list, nil
}

// newStage starts the cluster and makes what all runs share.
func newStage(ctx context.Context, dir string) (*stage, error) {
	s := &stage{dir: dir, drainer: filepath.Join(dir, "drainer")}
	if err := daemon.Build(ctx, s.drainer); err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	s.cluster = c
	if s.client, err = c.Client(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	if err := daemon.InstallClusterRole(ctx, s.client); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return s, nil
}
