package invariant_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

// until5 is a window that closes five minutes past noon.
func until5(at time.Time, _ *corev1.Node) bool { return at.Before(noon.Add(5 * time.Minute)) }

// TestHours: nothing is evicted while everything is paused, or at a time at which
// it may not be; what was under way is nobody's fault.
func TestHours(t *testing.T) {
	window := invariant.Rules{Hours: invariant.Hours{Evicts: until5}}
	for name, test := range map[string]struct {
		rules invariant.Rules
		do    func(*scene)
		want  invariant.ID
	}{
		"in the window":       {window, func(s *scene) {}, ""},
		"when it has closed":  {window, func(s *scene) { s.after(5*time.Minute + time.Second + 1) }, "I2"},
		"a moment before":     {window, func(s *scene) { s.after(4*time.Minute + 900*time.Millisecond) }, ""},
		"an emergency":        {window, func(s *scene) { s.annotate("a", api.IgnoreWindowsAnnotation, "true"); s.after(time.Hour) }, ""},
		"an emergency over":   {window, func(s *scene) { s.after(time.Hour); s.annotate("a", api.IgnoreWindowsAnnotation, "false") }, ""},
		"paused everywhere":   {invariant.Rules{}, func(s *scene) { s.Paused(s.now, true); s.after(time.Second + 1) }, "I2"},
		"paused a moment ago": {invariant.Rules{}, func(s *scene) { s.Paused(s.now, true); s.after(time.Second) }, ""},
		"still paused":        {invariant.Rules{}, func(s *scene) { s.Paused(s.now, true); s.after(time.Minute); s.Paused(s.now, true) }, "I2"},
		"no longer paused":    {invariant.Rules{}, func(s *scene) { s.Paused(s.now, true); s.after(time.Minute); s.Paused(s.now, false) }, ""},
		"paused, an emergency": {invariant.Rules{}, func(s *scene) {
			s.annotate("a", api.IgnoreWindowsAnnotation, "true")
			s.Paused(s.now, true)
			s.after(time.Minute)
		}, "I2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(test.rules)
			p := s.pod("p", "a")
			test.do(s)
			s.evict(p, 201)
			s.expect(t, test.want)
		})
	}
}

// TestBeginsInHours: no drain begins outside of its hours, or while everything is
// paused.
func TestBeginsInHours(t *testing.T) {
	window := invariant.Rules{Hours: invariant.Hours{Begins: until5}}
	for name, test := range map[string]struct {
		rules invariant.Rules
		do    func(*scene)
		want  invariant.ID
	}{
		"in the window":      {window, func(s *scene) {}, ""},
		"when it has closed": {window, func(s *scene) { s.after(5 * time.Minute) }, "I9"},
		"an emergency":       {window, func(s *scene) { s.annotate("a", api.IgnoreWindowsAnnotation, "true"); s.after(time.Hour) }, ""},
		"paused everywhere":  {invariant.Rules{}, func(s *scene) { s.Paused(s.now, true); s.after(2 * time.Second) }, "I9"},
		"no longer paused":   {invariant.Rules{}, func(s *scene) { s.Paused(s.now, true); s.after(time.Minute); s.Paused(s.now, false) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(test.rules)
			s.Started()
			s.change("b", invariant.Others, func(*corev1.Node) {})
			s.annotate("a", api.DrainAnnotation, "r")
			s.after(2 * time.Second)
			test.do(s)
			s.says("a", api.Draining, s.now)
			s.expect(t, test.want)
		})
	}
}
