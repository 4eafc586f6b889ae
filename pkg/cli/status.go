package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// statusFlags are the flags of status.
type statusFlags struct {
	target
	watch  bool
	output Output
}

func (s *shared) status() *cobra.Command {
	o := &statusFlags{}
	c := &cobra.Command{
		Use:   "status [NODE... | -l SELECTOR]",
		Short: "Show the progress of drains, and what they wait for",
		Long: "status lists the nodes with a request: how many of their pods have left, how many are blocked, and the worst\n" +
			"reason. ETA estimates the remaining time if pods keep leaving at the same rate; it is - if there is no estimate, for\n" +
			"example while a drain is blocked, paused or queued.\n\n" +
			"If you name one node, it shows each pod that blocks the drain, since when, why, and how to fix it.\n\n" +
			"With --watch it shows every change until you press Ctrl-C: on a terminal in place, in a pipe as one line for\n" +
			"each change. Colors are off if NO_COLOR is set.",
		Example: example(
			"# See all drains", "status",
			"# Follow those of a pool", "status -l pool=workers -w",
			"# See what a node waits for", "status n1",
			"# See the status for a program", "status n1 -o json",
		),
		ValidArgsFunction: s.completeNodes(func(n *corev1.Node) bool { _, is := rowOf(n); return is }),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return s.runStatus(c.Context(), o)
		},
	}
	o.add(c.Flags())
	c.Flags().BoolVarP(&o.watch, "watch", "w", false, "follow the changes")
	o.output.Add(c.Flags(), "name", "wide")
	c.Flags().SortFlags = false
	return c
}

func (o *statusFlags) check(args []string) error {
	if o.names = nil; len(args) > 0 || o.selector != "" {
		if err := o.take(args); err != nil {
			return err
		}
	}
	if err := o.output.Check(); err != nil {
		return exit{ExitUsage, err}
	}
	if o.watch && (o.output.ForPrograms() || o.output.Format == "name") {
		return usagef("--watch and --output=%s: use one of them", o.output.Format)
	}
	return nil
}

// shows is true for a node that was meant.
func (o *statusFlags) shows(n *corev1.Node) bool {
	return len(o.names) == 0 || slices.Contains(o.names, n.Name)
}

func (s *shared) runStatus(ctx context.Context, o *statusFlags) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if o.watch {
		return s.watchStatus(ctx, client, o)
	}
	nodes, err := o.read(ctx, client)
	if err != nil {
		return err
	}
	screen := newScreen(s.Out)
	switch {
	case o.output.ForPrograms():
		return s.printStatus(rowsOf(nodes), o)
	case o.output.Format == "name":
		for _, r := range rowsOf(nodes) {
			s.printf("node/%s\n", r.Node)
		}
		return nil
	}
	for _, l := range s.statusLines(nodes, o, screen.width()) {
		s.printf("%s\n", screen.paint(l))
	}
	if len(o.names) == 1 && o.output.Format == "" {
		s.printOthers(ctx, client, nodes[0], screen.width())
	}
	return nil
}

// printOthers shows the pods that have still to leave the node and that its status does not
// list. Without the permission to list pods it says so.
func (s *shared) printOthers(ctx context.Context, client kubernetes.Interface, node *corev1.Node, width int) {
	r, _ := rowOf(node)
	if r.Status == nil || r.Status.Pods.Remaining() <= len(r.Status.Blockers) {
		return
	}
	pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node.Name})
	if err != nil {
		s.notef("Warning: the pods of node %s cannot be listed: %v\n", node.Name, err)
		return
	}
	for _, l := range otherPods(r.Status, pods.Items, s.Now(), width) {
		s.printf("%s\n", l)
	}
}

// read reads the nodes meant, in order; all of the cluster if none is named or
// selected.
func (o *statusFlags) read(ctx context.Context, client kubernetes.Interface) ([]*corev1.Node, error) {
	if len(o.names) > 0 || o.selector != "" {
		return o.nodes(ctx, client)
	}
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return sortedNodes(list.Items), nil
}

func rowsOf(nodes []*corev1.Node) []row {
	rows := []row{}
	for _, n := range nodes {
		if r, is := rowOf(n); is {
			rows = append(rows, r)
		}
	}
	return rows
}

// statusLines are what status shows.
func (s *shared) statusLines(nodes []*corev1.Node, o *statusFlags, width int) []string {
	rows := rowsOf(nodes)
	switch {
	case len(o.names) == 1 && len(rows) == 1 && o.output.Format == "":
		return detail(&rows[0], nodes[0], s.Now(), width)
	case len(rows) == 0 && len(o.names) > 0:
		return []string{"No request: " + strings.Join(o.names, ", ") + "."}
	case len(rows) == 0 && o.selector != "":
		return []string{"No node with the labels " + o.selector + " has a request."}
	case len(rows) == 0:
		return []string{"No node has a request. Ask for one with: kubectl drainer drain NODE"}
	}
	return statusTable(rows, s.Now(), o.output.Format == "wide", width)
}

func (s *shared) printStatus(rows []row, o *statusFlags) error {
	estimate(rows, s.Now())
	var what any = map[string]any{"items": rows}
	if len(o.names) == 1 && len(rows) == 1 {
		what = rows[0]
	}
	return o.output.Write(s.Out, what)
}

// watchStatus shows every change until ctx ends.
func (s *shared) watchStatus(ctx context.Context, client kubernetes.Interface, o *statusFlags) error {
	name := ""
	if len(o.names) == 1 {
		name = o.names[0]
	}
	// A watch waits for nodes that do not exist, and so it would for a mistyped name.
	if len(o.names) > 0 || o.selector != "" {
		if _, err := o.nodes(ctx, client); err != nil {
			return err
		}
	}
	screen := newScreen(s.Out)
	watch, err := watchNodes(ctx, client, name, o.selector, s.warner(screen))
	if err != nil {
		return err
	}
	defer watch.stop()
	watch.follow(ctx, func() bool {
		nodes := slices.DeleteFunc(watch.all(), func(n *corev1.Node) bool { return !o.shows(n) })
		if screen.live {
			screen.draw(s.statusLines(nodes, o, screen.width()))
			return false
		}
		s.tellStatus(screen, nodes)
		return false
	})
	// Ctrl-C is how it is meant to end.
	return nil
}

// tellStatus writes a line for each node that says something else than before.
func (s *shared) tellStatus(screen *screen, nodes []*corev1.Node) {
	has, exists := map[string]bool{}, namesOf(nodes)
	for _, r := range rowsOf(nodes) {
		has[r.Node] = true
		screen.tell(r.Node, r.summary())
	}
	for node := range screen.said {
		switch {
		case has[node]:
			continue
		case slices.Contains(exists, node):
			s.printf("node/%s released\n", node)
		default:
			s.printf("node/%s deleted, or no longer selected\n", node)
		}
		delete(screen.said, node)
	}
}
