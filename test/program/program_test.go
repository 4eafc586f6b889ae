package program

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(ctx context.Context, t *testing.T, script string) (*Program, error) {
	t.Helper()
	return Start(ctx, exec.Command("sh", "-c", script), filepath.Join(t.TempDir(), "log"), func(line []byte) bool {
		return bytes.Contains(line, []byte("ready"))
	})
}

// TestStart: the program is returned when it says that it is ready, and its
// whole log is kept.
func TestStart(t *testing.T) {
	p, err := start(t.Context(), t, `echo one >&2; echo ready >&2; read line; echo "two" >&2; exit 3`)
	if err != nil {
		t.Fatal(err)
	}
	// Its standard input is empty.
	if status, err := p.Wait(t.Context()); err != nil || status != 3 {
		t.Errorf("exited with %d, %v; want 3", status, err)
	}
	if log, err := os.ReadFile(p.Log); err != nil || string(log) != "one\nready\ntwo\n" {
		t.Errorf("the log is %q, %v", log, err)
	}
}

// TestStartFails: a program that ends, or that the context does not wait for,
// is not returned.
func TestStartFails(t *testing.T) {
	if _, err := start(t.Context(), t, `echo one >&2; exit 3`); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a program that ended: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := start(ctx, t, `exec sleep 1000`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that does not get ready: %v", err)
	}
}

// TestEnd: a program ends by a signal or like a crash, and a wait for its end
// has an end.
func TestEnd(t *testing.T) {
	p, err := start(t.Context(), t, `trap "exit 7" TERM; echo ready >&2; while :; do sleep 0.01; done`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that runs has ended: %v", err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != 7 {
		t.Errorf("exited with %d, %v; want 7", status, err)
	}
	p.Kill()
	p.Kill()
}
