package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// enough is an error if more nodes are asked for than the drainer in the cluster drains
// at once, unless that is what the user wants.
func (s *shared) enough(ctx context.Context, client kubernetes.Interface, d *drainFlags, nodes []*corev1.Node, want *wanted) error {
	var asked []*corev1.Node
	for _, node := range nodes {
		if id, _ := requestOf(node); id != want.id() {
			asked = append(asked, node)
		}
	}
	if d.yes || len(asked) < 2 {
		return nil
	}
	daemon := s.Daemon(s.config)
	daemon.Add(pflag.NewFlagSet("", pflag.ContinueOnError))
	configured, err := s.assume(ctx, client, daemon)
	if err != nil {
		return fmt.Errorf("finding out how many nodes drainer drains at once: %w", err)
	}
	// The API server serves this from its cache.
	all, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("counting the nodes: %w", err)
	}
	o := daemon.Simulation()
	for _, node := range asked {
		if !o.Daemon.Selectors.Serves(node.Labels) {
			s.notef("Warning: drainer ignores node %s, which its nodeSelector does not select (%s)\n", node.Name, configured)
		}
	}
	most := slotsOf(all.Items, asked, o)
	if most == nil {
		return nil
	}
	others := "the others would wait in its queue"
	if want.annotations[api.DeadlineAnnotation] != "" {
		others = "because of --deadline it would drain all of them at once"
	}
	return usagef("%s; %s. Add --yes if you want that. Here, %s", most, others, configured)
}

// slots are how many nodes may be drained at once, and how many are asked for.
type slots struct {
	// pool is the one that has a limit of its own; empty for all other nodes.
	pool  string
	limit plan.Share
	// all and asked count nodes that the limit is for.
	all, asked int
}

// String says it to people.
func (s *slots) String() string {
	of := ""
	if s.pool != "" {
		of = " of the pool " + s.pool
	}
	return fmt.Sprintf("you ask for the drain of %d nodes%s, but drainer drains %d of %d at once (maxDraining: %s)", s.asked, of, s.limit.Of(s.all), s.all, s.limit)
}

// slotsOf are the first slots of which there are fewer than nodes asked for; nil if
// there are enough.
func slotsOf(all []corev1.Node, asked []*corev1.Node, o simulate.Options) *slots {
	byPool := map[string]*slots{}
	of := func(node *corev1.Node) *slots {
		pool, limit := o.Daemon.Config.SlotsOf(o.Daemon.Selectors.NodeOf(node).Pool)
		if byPool[pool] == nil {
			byPool[pool] = &slots{pool: pool, limit: limit}
		}
		return byPool[pool]
	}
	for i := range all {
		if o.Daemon.Selectors.Serves(all[i].Labels) {
			of(&all[i]).all++
		}
	}
	for _, node := range asked {
		if o.Daemon.Selectors.Serves(node.Labels) {
			of(node).asked++
		}
	}
	for _, node := range asked {
		if s := of(node); s.asked > s.limit.Of(s.all) {
			return s
		}
	}
	return nil
}
