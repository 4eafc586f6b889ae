package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/await"
)

// TestStartWithoutKeeperMain: a program that does not call KeeperMain is told
// to, before anything is built or started.
func TestStartWithoutKeeperMain(t *testing.T) {
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: dir, Progress: t.Output()})
	if !errors.Is(err, errNoKeeper) || !strings.Contains(err.Error(), "cluster.KeeperMain") {
		t.Errorf("Start says %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("Start left %v, %v", left, err)
	}
}

// TestHear: what the keeper says is passed on until the cluster runs, and the
// reason if it does not come to run.
func TestHear(t *testing.T) {
	for name, test := range map[string]struct {
		said, progress, err string
	}{
		"runs":   {`{"Progress":"still waiting\n"}{"State":{"URL":"https://127.0.0.1:1"}}`, "still waiting\n", ""},
		"fails":  {`{"Progress":"still waiting\n"}{"Error":"no port is free"}`, "still waiting\n", "no port is free"},
		"killed": {`{"Progress":"still waiting\n"}`, "still waiting\n", "keeper ended"},
	} {
		t.Run(name, func(t *testing.T) {
			var progress strings.Builder
			state, err := hear(json.NewDecoder(strings.NewReader(test.said)), &progress)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("ended with %v, want %q", err, test.err)
			}
			if err == nil && state.URL != "https://127.0.0.1:1" {
				t.Errorf("the cluster is at %q", state.URL)
			}
			if progress.String() != test.progress {
				t.Errorf("passed on %q", progress.String())
			}
		})
	}
}

// TestLockFolder: the end of the keeper before is waited for, and the wait ends
// with its context.
func TestLockFolder(t *testing.T) {
	dir, patience := t.TempDir(), await.Waiter{Progress: io.Discard}
	unlock, err := lockFolder(t.Context(), dir, patience)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lockFolder(short, dir, patience); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "its keeper runs") {
		t.Errorf("the lock of another: %v", err)
	}
	time.AfterFunc(time.Millisecond, unlock)
	again, err := lockFolder(t.Context(), dir, patience)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
