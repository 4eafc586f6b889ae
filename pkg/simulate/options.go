package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/forecast"
)

// Options are what is drained, and the assumptions of the forecast.
type Options struct {
	// Nodes are the names of the nodes to drain, Selector their labels: one of
	// the two is given.
	Nodes    []string
	Selector labels.Selector
	// Daemon is how drainer is configured. Latency and lag are set from here.
	Daemon forecast.Options
	// Configured says in words where Daemon comes from; empty to say nothing.
	Configured string
	// StartTime is how long pods take from their creation until they are Ready; 0
	// to take it from their history. StartTimes are those of a namespace, or of a
	// controller as namespace/name.
	StartTime  time.Duration
	StartTimes map[string]time.Duration
	// StopTime is how long pods take to stop, at most their grace period; 0 for
	// the whole of it.
	StopTime time.Duration
	// RemovalDelay is how much longer than that pods take until they are gone.
	RemovalDelay time.Duration
	// Latency is that of the API server, ControllerDelay how long each
	// controller and the scheduler take to react.
	Latency, ControllerDelay time.Duration
	// Limit bounds the time that is forecast.
	Limit time.Duration
}

// choose returns the names of the nodes to drain.
func (o *Options) choose(objects *Objects) ([]string, error) {
	switch {
	case len(o.Nodes) > 0 && o.Selector != nil:
		return nil, errors.New("nodes are both named and selected: use either --drain or --selector")
	case len(o.Nodes) == 0 && o.Selector == nil:
		return nil, errors.New("no node is selected: name nodes with --drain=NODE,NODE or select them with --selector=LABELS")
	}
	var chosen, all []string
	served := map[string]bool{}
	for i := range objects.Nodes {
		n := &objects.Nodes[i]
		all = append(all, n.Name)
		served[n.Name] = o.Daemon.Selectors.Serves(n.Labels)
		if o.Selector != nil && o.Selector.Matches(labels.Set(n.Labels)) {
			chosen = append(chosen, n.Name)
		}
	}
	slices.Sort(all)
	if o.Selector != nil && len(chosen) == 0 {
		return nil, fmt.Errorf("--selector=%s matches none of the %d nodes: kubectl get nodes --show-labels lists their labels", o.Selector, len(all))
	}
	for _, name := range o.Nodes {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("--drain: there is no node %q among the %d nodes: %s", name, len(all), some(all))
		}
		if !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	for _, name := range chosen {
		if !served[name] {
			return nil, fmt.Errorf("node %q is not served by --node-selector=%s: drainer ignores its requests", name, o.Daemon.Selectors.Served)
		}
	}
	return chosen, nil
}

// some are the first names of a list.
func some(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
