package drain

import (
	"context"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// TestWritesNameUID: every write to a Node names its UID, so that a Node that was
// deleted and made again is not changed for a request of the one before.
func TestWritesNameUID(t *testing.T) {
	server := &stubServer{}
	w := newTestController(t, requested(), server).writer
	n := requested().nodes[0]
	value := "r"
	for name, write := range map[string]func(context.Context) error{
		"cordon":   func(ctx context.Context) error { _, err := w.cordon(ctx, n); return err },
		"uncordon": func(ctx context.Context) error { _, err := w.uncordon(ctx, n); return err },
		"report": func(ctx context.Context) error {
			_, _, err := w.report(ctx, n, plan.Report{}, "", time.Now())
			return err
		},
		"clear": func(ctx context.Context) error { _, err := w.clear(ctx, n); return err },
		"taint": func(ctx context.Context) error { _, err := w.taint(ctx, n, true); return err },
		"annotate": func(ctx context.Context) error {
			_, err := w.annotate(ctx, n, map[string]*string{api.DrainAnnotation: &value})
			return err
		},
	} {
		before := len(server.writes())
		if err := write(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		writes := server.writes()[before:]
		if len(writes) != 1 || !strings.Contains(writes[0], `"uid":"uid-n"`) {
			t.Errorf("%s wrote %q, want one request with the UID", name, writes)
		}
	}
}
