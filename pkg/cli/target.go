package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// target says which nodes are meant: those named, or those selected.
type target struct {
	names    []string
	selector string
}

func (t *target) add(f *pflag.FlagSet) {
	f.StringVarP(&t.selector, "selector", "l", t.selector, "label selector of the nodes, such as pool=workers")
}

// noneEmpty is an error for a flag with an empty value, usually from a variable that is
// empty: if the flag were ignored, the command would do more than was asked for.
func noneEmpty(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if err == nil && flag.Value.Type() == "string" && flag.Value.String() == "" {
			err = usagef("--%s is empty: give it a value, or leave it out", flag.Name)
		}
	})
	return err
}

// take takes the arguments for names of nodes, which kubectl prints as
// node/NAME. Either they or a selector are needed.
func (t *target) take(args []string) error {
	t.names = nil
	for _, arg := range args {
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "node/"), "nodes/")
		if name == "" || strings.Contains(name, "/") {
			return usagef("%q is not the name of a node: expected NAME or node/NAME", arg)
		}
		if !slices.Contains(t.names, name) {
			t.names = append(t.names, name)
		}
	}
	switch {
	case len(t.names) > 0 && t.selector != "":
		return usagef("nodes are named and selected: use either names or --selector")
	case len(t.names) == 0 && t.selector == "":
		return usagef("no node is given: name nodes, or select them with --selector=LABELS")
	}
	if _, err := labels.Parse(t.selector); err != nil {
		return usagef("--selector=%q: expected a label selector such as pool=workers: %w", t.selector, err)
	}
	return nil
}

// several is true if more than one node may be meant.
func (t *target) several() bool { return t.selector != "" || len(t.names) > 1 }

// nodes reads the nodes meant, sorted by name. All must exist.
func (t *target) nodes(ctx context.Context, client kubernetes.Interface) ([]*corev1.Node, error) {
	if t.selector != "" {
		return t.selected(ctx, client)
	}
	var nodes []*corev1.Node
	for _, name := range slices.Sorted(slices.Values(t.names)) {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading node %s: %w", name, err)
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

func (t *target) selected(ctx context.Context, client kubernetes.Interface) ([]*corev1.Node, error) {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: t.selector})
	if err != nil {
		return nil, fmt.Errorf("listing the nodes with the labels %s: %w", t.selector, err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("--selector=%s matches no node: kubectl get nodes --show-labels lists their labels", t.selector)
	}
	return sortedNodes(list.Items), nil
}

func sortedNodes(items []corev1.Node) []*corev1.Node {
	nodes := make([]*corev1.Node, len(items))
	for i := range items {
		nodes[i] = &items[i]
	}
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// completeNodes completes names of nodes that are of interest and not yet named.
func (s *shared) completeNodes(interesting func(*corev1.Node) bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		client, err := s.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		list, err := client.CoreV1().Nodes().List(c.Context(), metav1.ListOptions{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []cobra.Completion
		for _, node := range sortedNodes(list.Items) {
			if interesting(node) && !slices.Contains(args, node.Name) {
				names = append(names, node.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
