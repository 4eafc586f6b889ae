package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// mark writes the changes of the newest plan to a node that something marked.
func (c *Controller) mark(ctx context.Context, t task) (progress, error) {
	c.mu.Lock()
	m, planned := c.marks[t.node]
	c.mu.Unlock()
	if !planned {
		return nothing, nil
	}
	version, err := c.writer.annotate(ctx, m.Node, m.Annotations)
	switch {
	case apierrors.IsNotFound(err):
		return done, nil
	case apierrors.IsConflict(err):
		// The node has changed since the plan. A plan that finds nothing else changed
		// takes its new version.
		c.Wake()
		return done, err
	case err != nil:
		return done, err
	}
	written := plan.NodeWritten{Node: m.Node.UID, Version: version, At: time.Now()}
	c.learnedOf(m.Node.UID, written, plan.MarksWritten{Plan: m})
	return done, nil
}

// annotate changes annotations of the Node as the plan knows it, and of no other: a
// conflict means that somebody has changed it since.
func (w nodeWriter) annotate(ctx context.Context, n *plan.Node, annotations map[string]*string) (string, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": n.UID, "resourceVersion": n.ResourceVersion, "annotations": annotations},
	})
	if err != nil {
		return "", fmt.Errorf("writing the annotations of node %s: %w", n.Name, err)
	}
	written, err := w.nodes.Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: api.MarksFieldManager})
	if err != nil {
		return "", fmt.Errorf("requesting the drain of node %s, which is marked: %w", n.Name, err)
	}
	return written.ResourceVersion, nil
}

// MarkStates are the states of the rules for marked nodes in the newest plan;
// nil without rules. They must not be changed.
func (c *Controller) MarkStates() []plan.MarkState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.markStates
}

// tellMarks reports what follows from the marks of nodes.
func (c *Controller) tellMarks(ctx context.Context, event plan.Event) {
	switch e := event.(type) {
	case plan.MarkRequested:
		note := fmt.Sprintf("Rule %s requested a drain: %s", e.Rule, e.Text)
		if e.Paused {
			note += "; it begins once somebody removes the annotation " + api.PausedAnnotation
		}
		c.nodeEvent(ctx, e.Node, e.Request, "MarkRequested", note, false)
	case plan.MarkCleared:
		c.nodeEvent(ctx, e.Node, e.Request, "MarkCleared", "The mark of the node has cleared; removed drain request "+e.Request, false)
	case plan.RuleLatched:
		c.nodeEvent(ctx, e.Node, "", "RuleLatched", e.Text, true)
	case plan.RuleChanged:
		if e.Latched {
			klog.FromContext(ctx).Error(nil, "A rule for marked nodes is latched", "rule", e.Rule, "message", e.Text)
			return
		}
		klog.FromContext(ctx).Info("A rule for marked nodes is resumed", "rule", e.Rule)
	}
}
