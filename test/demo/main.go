// Command demo shows drainer's main job, end to end: nodes are annotated,
// drained while their budgets are kept, and released. It does so on a local
// control plane of its own, or on nodes of a cluster that is named. It exits
// with 0 only if all of that was true.
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
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
)

// request is the ID that the nodes are annotated with.
const request = "CHG-1234"

// errLeft is that something of the demonstration could not be removed.
var errLeft = errors.New("cleaning up")

// enough is how long any step of the demonstration may take.
const enough = 10 * time.Minute

func main() {
	cluster.KeeperMain()
	chosen := target{}
	flag.StringVar(&chosen.context, "context", "", "context of the kubeconfig, for a cluster of your own; needs -nodes")
	nodes := flag.String("nodes", "", "its nodes to use, at least 2; about half of them are drained")
	flag.StringVar(&chosen.picture, "picture", "", "file into which a picture of the drains is drawn, such as docs/drain.svg")
	flag.Parse()
	chosen.nodes = strings.Fields(*nodes)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, chosen)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case interrupted && !errors.Is(err, errLeft):
		fmt.Fprintln(os.Stderr, "\nInterrupted. Nothing is left of the demonstration.")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "\nThe demonstration failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, chosen target) (err error) {
	begun := time.Now()
	if err := chosen.validate(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "drainer-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil || ctx.Err() != nil && !errors.Is(err, errLeft) {
			err = errors.Join(err, os.RemoveAll(dir))
		} else {
			fmt.Fprintln(os.Stderr, "Logs are in", dir)
		}
	}()
	if chosen.local() {
		// First, because builds side by side compile what they share twice.
		if _, err := cluster.BinariesWithoutKubectl(ctx, os.Stderr); err != nil {
			return err
		}
	}
	program := filepath.Join(dir, "drainer")
	built := buildBeside(ctx, program)
	defer func() { _ = built() }()
	s, err := chosen.stage(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.clean()) }()
	s.picture = chosen.picture
	say("Creating Deployments under budgets, a StatefulSet, a Job and a DaemonSet on %d nodes", len(s.nodes))
	if err := s.createScene(ctx); err != nil {
		return err
	}
	if err := built(); err != nil {
		return err
	}
	if err := s.mayDelete(ctx); err != nil {
		return err
	}
	say("Starting drainer %s", strings.Join(s.flags, " "))
	if s.drainer, err = daemon.Start(ctx, program, filepath.Join(dir, "drainer.log"), []string{"POD_NAMESPACE=" + s.namespace}, s.flags...); err != nil {
		return err
	}
	if err := s.demonstrate(ctx); err != nil {
		return err
	}
	say("Stopping drainer with SIGTERM")
	if status, _, err := s.drainer.Terminate(ctx); err != nil || status != 0 {
		return fmt.Errorf("drainer exited with %d: %w", status, err)
	}
	say("Done in %s", time.Since(begun).Round(100*time.Millisecond))
	return nil
}

// buildBeside builds drainer in the background, and returns a function that
// waits until it is built.
func buildBeside(ctx context.Context, program string) (built func() error) {
	done := make(chan error, 1)
	go func() { done <- daemon.Build(ctx, program) }()
	return sync.OnceValue(func() error { return <-done })
}

func (s *stage) demonstrate(ctx context.Context) error {
	for _, node := range s.drained() {
		say("kubectl annotate node %s %s=%s", node, api.DrainAnnotation, request)
		if err := annotate(ctx, s.client, node, api.DrainAnnotation, request); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	show := newScreen(os.Stdout, s.drained())
	if err := s.watchDrains(ctx, show, s.onlyLegacy); err != nil {
		return fmt.Errorf("waiting until only the pod of %s is left: %w", legacy, err)
	}
	show.end()
	if err := s.giveNotice(ctx); err != nil {
		return err
	}
	if err := s.watchDrains(ctx, show, s.allDrained); err != nil {
		return fmt.Errorf("waiting until the nodes are drained: %w", err)
	}
	show.end()
	if s.picture != "" {
		if err := show.picture.write(s.picture); err != nil {
			return err
		}
	}
	if err := s.checkDrained(ctx); err != nil {
		return err
	}
	if err := s.summarize(ctx); err != nil {
		return err
	}
	if err := s.release(ctx); err != nil {
		return err
	}
	say("All %d nodes are schedulable again", len(s.nodes))
	return nil
}

// watchDrains shows the drains until enough of them has been seen.
func (s *stage) watchDrains(ctx context.Context, show *screen, enough func(map[string]view, daemon.Metrics) bool) error {
	return s.watchNodes(ctx, func(seen map[string]view) (bool, error) {
		metrics, err := s.drainer.Metrics(ctx)
		if err != nil {
			return false, err
		}
		show.draw(seen, metrics)
		return enough(seen, metrics), nil
	})
}

// release removes the requests and waits until drainer has released the nodes.
func (s *stage) release(ctx context.Context) error {
	for _, node := range s.drained() {
		say("kubectl annotate node %s %s-", node, api.DrainAnnotation)
		if err := annotate(ctx, s.client, node, api.DrainAnnotation, nil); err != nil {
			return err
		}
	}
	say("kubectl annotate node %s %s-", s.held(), api.DeadlineAnnotation)
	if err := annotate(ctx, s.client, s.held(), api.DeadlineAnnotation, nil); err != nil {
		return err
	}
	if err := s.watchNodes(ctx, func(seen map[string]view) (bool, error) {
		// Without drainer nobody would release them.
		_, err := s.drainer.Metrics(ctx)
		return s.allReleased(seen), err
	}); err != nil {
		return fmt.Errorf("waiting until the nodes are released: %w", err)
	}
	return nil
}

func annotate(ctx context.Context, client kubernetes.Interface, node, key string, value any) error {
	text := "null"
	if value != nil {
		text = fmt.Sprintf("%q", value)
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, key, text)
	_, err := client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("annotating node %s: %w", node, err)
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("==> "+format+"\n", args...) }
