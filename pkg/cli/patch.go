package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
)

// dryRun is whether and how a write is only tried.
type dryRun string

// As kubectl's --dry-run.
const (
	noDryRun     dryRun = "none"
	clientDryRun dryRun = "client"
	serverDryRun dryRun = "server"
)

func (d dryRun) check() error {
	switch d {
	case noDryRun, clientDryRun, serverDryRun:
		return nil
	default:
		return usagef("--dry-run=%q: expected none, client or server", string(d))
	}
}

// mark is what is added to a line about a write that was only tried.
func (d dryRun) mark() string {
	switch d {
	case clientDryRun:
		return " (dry run)"
	case serverDryRun:
		return " (server dry run)"
	default:
		return ""
	}
}

func (d dryRun) options() metav1.PatchOptions {
	o := metav1.PatchOptions{FieldManager: fieldManager}
	if d == serverDryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	return o
}

// conflicts is how often a node is read again because somebody wrote to it
// between our reading and our writing.
const conflicts = 20

// writing is how to write, and how to say it.
type writing struct {
	try    dryRun
	output *Output
	// list is true if programs get a list even of one node.
	list bool
}

// decideFunc says what to change on a node.
type decideFunc func(*corev1.Node) (change, error)

// write decides about each node and writes that, one after the other. A node that
// has changed since it was read is read and decided about again. A failure does not
// keep the other nodes from being written to; only the end of ctx does. It returns
// the nodes that it succeeded for, as they are now, and an error that names the others.
func (s *shared) write(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node, how writing, decide decideFunc) (done []*corev1.Node, err error) {
	var problems []error
	for i, node := range nodes {
		c, now, err := writeOne(ctx, client, node, how.try, decide)
		if err != nil {
			problems = append(problems, err)
			if rest := nodes[i+1:]; ctx.Err() != nil && len(rest) > 0 {
				problems = append(problems, fmt.Errorf("interrupted before anything was written to: %s", strings.Join(namesOf(rest), ", ")))
			}
			if ctx.Err() != nil {
				break
			}
			continue
		}
		done = append(done, now)
		switch {
		case how.output.Format == "":
			s.printf("node/%s %s%s\n", node.Name, visible(c.says+c.note), how.try.mark())
		case c.note != "":
			s.notef("node/%s %s%s\n", node.Name, visible(c.says+c.note), how.try.mark())
		}
	}
	return done, errors.Join(problems...)
}

// show writes the nodes for programs, if that is wanted: as a list if it may be several.
func (s *shared) show(nodes []*corev1.Node, how writing) error {
	switch {
	case how.output.Format == "name":
		for _, node := range nodes {
			s.printf("node/%s\n", node.Name)
		}
	case how.output.ForPrograms() && len(nodes) > 0:
		return how.output.Write(s.Out, forPrograms(nodes, how.list))
	}
	return nil
}

// forPrograms is what programs get: one node as it is, or a list, as from kubectl get.
func forPrograms(nodes []*corev1.Node, list bool) any {
	items := make([]*corev1.Node, len(nodes))
	for i, node := range nodes {
		shown := *node
		shown.TypeMeta, shown.ManagedFields = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, nil
		items[i] = &shown
	}
	if !list {
		return items[0]
	}
	return struct {
		metav1.TypeMeta `json:",inline"`
		Items           []*corev1.Node `json:"items"`
	}{metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, items}
}

// applicable are the selected nodes that the command applies to; the others are noted.
// It is an error if there is none: then the selector or the ID is probably wrong.
func (s *shared) applicable(nodes []*corev1.Node, decide decideFunc) ([]*corev1.Node, error) {
	var list []*corev1.Node
	for _, node := range nodes {
		var no inapplicable
		if _, err := decide(node); errors.As(err, &no) {
			s.notef("Skipped: %s\n", visible(err.Error()))
			continue
		}
		list = append(list, node)
	}
	if len(list) == 0 {
		return nil, errors.New("nothing was done: the command applies to none of the selected nodes")
	}
	return list, nil
}

func namesOf(nodes []*corev1.Node) []string {
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = node.Name
	}
	return names
}

// writeOne writes to one node, and returns what it changed and the node as it is now.
func writeOne(ctx context.Context, client kubernetes.Interface, node *corev1.Node, try dryRun, decide decideFunc) (change, *corev1.Node, error) {
	for attempt := 0; ; attempt++ {
		c, err := decide(node)
		if err != nil || len(c.annotations) == 0 || try == clientDryRun {
			return c, c.applied(node), err
		}
		patch, err := patchOf(node, c)
		if err != nil {
			return c, nil, err
		}
		now, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, try.options())
		if err == nil {
			return c, now, nil
		}
		if !apierrors.IsConflict(err) || attempt == conflicts {
			return c, nil, fmt.Errorf("writing to node %s: %w", node.Name, err)
		}
		if node, err = readAgain(ctx, client, node); err != nil {
			return c, nil, err
		}
	}
}

// readAgain is the node as it is now. It is an error if it is another node, or has
// another request.
func readAgain(ctx context.Context, client kubernetes.Interface, node *corev1.Node) (*corev1.Node, error) {
	fresh, err := client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading node %s again: %w", node.Name, err)
	}
	if fresh.UID != node.UID {
		return nil, fmt.Errorf("node %s was deleted and created again while this command ran: nothing was written", node.Name)
	}
	if was, is := node.Annotations[api.DrainAnnotation], fresh.Annotations[api.DrainAnnotation]; was != is {
		return nil, fmt.Errorf("the request of node %s changed from %q to %q while this command ran: nothing was written", node.Name, was, is)
	}
	return fresh, nil
}

// patchOf is the merge patch of a change. The API server refuses it if the node
// is another one, or has changed.
func patchOf(node *corev1.Node, c change) ([]byte, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": node.UID, "resourceVersion": node.ResourceVersion, "annotations": c.annotations,
	}})
	if err != nil {
		return nil, fmt.Errorf("writing the patch of node %s: %w", node.Name, err)
	}
	return patch, nil
}
