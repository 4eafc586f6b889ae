package drain

import (
	"context"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// tell writes the log lines, events and metrics of what happened.
func (c *Controller) tell(ctx context.Context, events []plan.Event) {
	for _, event := range events {
		switch e := event.(type) {
		case plan.PodUnblocked:
			c.Observer.PodAdmitted(e.Reason, e.Waited)
		case plan.PodGone:
			c.Observer.PodGone(e.Terminating)
		case plan.PodNotEvicted:
			c.Ledger.ReleaseAll(e.Pod)
		case plan.PodConfirmedGone:
			c.Ledger.ReleaseAll(e.Pod)
		case plan.DrainEnded:
			c.Observer.DrainEnded(e.Result, e.Took)
			klog.FromContext(ctx).Info("Drain ended", "node", e.Node.Name, "request", e.Request, "result", e.Result, "took", e.Took,
				"record", recordOf(&e))
		case plan.ControlChanged:
			tellControl(ctx, e.Control)
		default:
			c.tellPod(ctx, event)
			c.tellNode(ctx, event)
			c.tellMarks(ctx, event)
		}
	}
}

func (c *Controller) tellPod(ctx context.Context, event plan.Event) {
	logger := klog.FromContext(ctx)
	switch e := event.(type) {
	case plan.PodEvicted:
		logger.Info("Evicted pod", "node", e.Pod.Node, "pod", key(e.Pod), "request", e.Request)
		c.events.pod(e.Pod, "Evicted", fmt.Sprintf("Evicted from node %s for drain request %s", e.Pod.Node, e.Request))
	case plan.PodDeleted:
		c.tellDeleted(ctx, &e)
	case plan.EvictionNotAdmitted:
		o := e.Outcome
		if e.Deletion {
			logger.Info("Deletion past a budget was not admitted", "node", e.Pod.Node, "pod", key(e.Pod),
				"request", e.Request, "code", o.Code, "reason", o.Reason, "message", o.Message)
			return
		}
		if o.Asked > o.RetryAfter {
			logger.Info("Shortened the wait that the API server asked for", "node", e.Pod.Node, "pod", key(e.Pod),
				"request", e.Request, "code", o.Code, "asked", o.Asked, "kept", o.RetryAfter)
		}
		logger.V(2).Info("Eviction was not admitted", "node", e.Pod.Node, "pod", key(e.Pod),
			"request", e.Request, "code", o.Code, "reason", o.Reason, "message", o.Message)
	case plan.PodBlocked:
		c.events.podWarning(e.Pod, "Blocked", fmt.Sprintf("Drain request %s waits: %s", e.Request, e.Text))
	case plan.PodStuck:
		c.events.podWarning(e.Pod, "Stuck", fmt.Sprintf("Drain request %s has been stuck since %s: %s",
			e.Request, e.Since.UTC().Format(time.RFC3339), e.Text))
		logger.Info("Pod is stuck", "node", e.Pod.Node, "pod", key(e.Pod), "request", e.Request, "reason", e.Reason, "message", e.Text)
	case plan.PodAnnotationsIgnored:
		c.events.podWarning(e.Pod, "AnnotationIgnored", fmt.Sprintf("Drain request %s %s", e.Request, e.Text))
	}
}

// tellDeleted tells of a deletion past a budget, wherever somebody may look.
func (c *Controller) tellDeleted(ctx context.Context, e *plan.PodDeleted) {
	c.Observer.PodDeleted(e.Reason)
	klog.FromContext(ctx).Info("Deleted pod past its budget", "node", e.Node.Name, "pod", key(e.Pod), "request", e.Request,
		"reason", e.Reason, "rule", e.Rule, "budgets", e.Budgets, "gracePeriodSeconds", e.GracePeriod)
	why := fmt.Sprintf("because drain request %s of node %s has timed out", e.Request, e.Node.Name)
	switch {
	case !e.Deadline.IsZero():
		why = fmt.Sprintf("because node %s disappears at %s, for drain request %s", e.Node.Name, e.Deadline.UTC().Format(time.RFC3339), e.Request)
	case e.Rule != "":
		why = fmt.Sprintf("after the deleteAfter of rule %s, for drain request %s of node %s", e.Rule, e.Request, e.Node.Name)
	}
	note := fmt.Sprintf("past PDB %s, which did not let it be evicted, %s", e.Budgets, why)
	c.events.podWarning(e.Pod, "ForcedDeletion", "Deleted "+note)
	c.events.node(e.Node, "ForcedDeletion", fmt.Sprintf("Deleted pod %s %s", e.Pod.Key(), note), true)
}

func key(p *plan.Pod) klog.ObjectRef { return klog.KRef(p.Namespace, p.Name) }

func (c *Controller) tellNode(ctx context.Context, event plan.Event) {
	switch e := event.(type) {
	case plan.CordonRestored:
		c.nodeEvent(ctx, e.Node, e.Request, "CordonRestored",
			"Somebody uncordoned the node; drainer cordons it again for as long as the drain request exists", true)
	case plan.Released:
		c.nodeEvent(ctx, e.Node, e.Request, "Released", "The drain request was removed; the node is released", false)
	case plan.DrainUnfinishable:
		c.nodeEvent(ctx, e.Node, e.Request, "CannotFinish", "Drain request "+e.Request+" "+e.Text, true)
	case plan.ConditionConflict:
		c.nodeEvent(ctx, e.Node, e.Request, "ConditionConflict", "Drain request "+e.Request+": "+e.Text, true)
	case plan.PhaseChanged:
		c.tellPhase(ctx, &e)
	}
}

// tellPhase tells of a change of phase, with what the request claims.
func (c *Controller) tellPhase(ctx context.Context, e *plan.PhaseChanged) {
	warning := e.Phase == api.Blocked || e.Phase == api.TimedOut || e.Phase == api.InvalidRequest
	request, claimed := e.Request, klog.FromContext(ctx)
	if claims := e.Claims(); claims != "" {
		request += " (" + claims + ")"
		claimed = claimed.WithValues("requestedBy", e.RequestedBy, "requestReason", e.Reason)
	}
	c.nodeEvent(klog.NewContext(ctx, claimed), e.Node, e.Request, string(e.Phase), fmt.Sprintf("Drain request %s: %s", request, e.Message), warning)
}

func (c *Controller) nodeEvent(ctx context.Context, n *plan.Node, request, reason, note string, warning bool) {
	klog.FromContext(ctx).Info("Node changed", "node", n.Name, "request", request, "event", reason, "message", note)
	c.events.node(n, reason, note, warning)
}

// tellControl logs what the ConfigMap drainer-control says now. The nodes say it,
// too, and events of theirs.
func tellControl(ctx context.Context, control plan.Control) {
	logger := klog.FromContext(ctx).WithValues("configMap", api.ControlName)
	switch {
	case control.Unknown:
		logger.Error(nil, "Everything is paused until the ConfigMap can be watched", "reason", control.Paused)
	case control.Mistaken:
		logger.Error(nil, "Everything is paused until the ConfigMap is fixed", "reason", control.Paused)
	case control.Paused != "":
		logger.Info("Everything is paused", "reason", control.Paused)
	default:
		logger.Info("Resumed, nothing is paused")
	}
}
