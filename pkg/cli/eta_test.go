package cli

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestRemaining: what is left is estimated from the pods gone so far, and only
// where they say something about the rest.
func TestRemaining(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*api.Status)
		want   time.Duration
		known  bool
	}{
		"a quarter is gone":        {func(*api.Status) {}, 6 * time.Minute, true},
		"blocked pods count":       {func(s *api.Status) { s.Pods.Eligible, s.Pods.Blocked = 10, 4 }, 6 * time.Minute, true},
		"pauses do not count":      {func(s *api.Status) { s.PausedSeconds = 60 }, 3 * time.Minute, true},
		"none is left":             {func(s *api.Status) { s.Pods.Eligible, s.Pods.Terminating = 0, 0 }, 0, true},
		"none is gone":             {func(s *api.Status) { s.Pods.Gone = 0 }, 0, false},
		"idle":                     {func(s *api.Status) { s.IdleSince = before(time.Second) }, 0, false},
		"cannot finish":            {func(s *api.Status) { s.CannotFinish = make([]api.Obstacle, 1) }, 0, false},
		"not started":              {func(s *api.Status) { s.StartedAt = nil }, 0, false},
		"the clocks differ":        {func(s *api.Status) { s.StartedAt = before(-time.Minute) }, 0, false},
		"paused all the time":      {func(s *api.Status) { s.PausedSeconds = 3600 }, 0, false},
		"a dry run":                {func(s *api.Status) { s.Verdicts = &api.Verdicts{} }, 0, false},
		"volumes are attached":     {func(s *api.Status) { s.Volumes = &api.Volumes{Attached: 1} }, 0, false},
		"drained and drains again": {func(s *api.Status) { s.Result = "drained" }, 0, false},
		"queued":                   {func(s *api.Status) { s.Phase = api.Queued }, 0, false},
		"blocked":                  {func(s *api.Status) { s.Phase = api.Blocked }, 0, false},
		"paused":                   {func(s *api.Status) { s.Phase = api.Paused }, 0, false},
		"timed out":                {func(s *api.Status) { s.Phase = api.TimedOut }, 0, false},
		"drained":                  {func(s *api.Status) { s.Phase = api.Drained }, 0, false},
	} {
		s := &api.Status{Phase: api.Draining, StartedAt: before(2 * time.Minute), Pods: api.PodCounts{Gone: 5, Eligible: 14, Terminating: 1, Ignored: 3}}
		c.change(s)
		got, known := remaining(s, noon)
		if got != c.want || known != c.known {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, known, c.want, c.known)
		}
	}
	if _, known := remaining(nil, noon); known {
		t.Error("without a status there is an estimate")
	}
}

// TestDetailVolumes: a node's details say how many volumes its drain waits for.
func TestDetailVolumes(t *testing.T) {
	for want, v := range map[string]*api.Volumes{
		"":                                   nil,
		"Volumes:   2 still attached for 3m": {Attached: 2, Since: *before(3 * time.Minute)},
		"Volumes:   not known for 10s":       {Since: *before(10 * time.Second)},
	} {
		r := &row{Node: "n", Status: &api.Status{Phase: api.Draining, Volumes: v}}
		said := ""
		for _, line := range detail(r, &corev1.Node{}, noon, 0) {
			if strings.HasPrefix(line, "Volumes:") {
				said = line
			}
		}
		if said != want {
			t.Errorf("of %+v it is said %q, want %q", v, said, want)
		}
	}
}
