package drain

import (
	"context"
	"time"

	"drainer.dev/drainer/pkg/plan"
)

// judge asks the API server what would happen to the pods of a dry run. Only
// one dry run is under way at a time: it takes as long as the webhooks of its
// pods, and other tasks must not wait for it.
func (c *Controller) judge(ctx context.Context, t task) (progress, error) {
	if !c.judging.TryLock() {
		return later, nil
	}
	defer c.judging.Unlock()
	n, stale := c.newest(t.node)
	switch {
	case stale:
		return later, nil
	case !n.Judge:
		return nothing, nil
	}
	pods, err := c.podsOn(ctx, n.Node.Name)
	if err != nil {
		return done, err
	}
	around := c.around(n.Node)
	if around.Scales, err = c.scalesOf(ctx, pods); err != nil {
		return done, err
	}
	j := plan.NewJudgement(pods, around, &c.Config, time.Now())
	for _, pod := range j.Ask {
		if ctx.Err() != nil {
			break
		}
		j.Answer(c.ask(ctx, pod, n.Request.GracePeriod))
	}
	c.learnedOf(n.Node.UID, plan.NodeJudged{Node: n.Node.UID, Request: n.Request.ID, DryRun: j.Done(time.Now())})
	return done, nil
}

// ask is what the API server answers to the eviction of a pod that it only
// judges.
func (c *Controller) ask(ctx context.Context, pod *plan.Pod, gracePeriod *int64) plan.Outcome {
	ctx, cancel := context.WithTimeout(ctx, c.EvictionTimeout)
	defer cancel()
	return plan.OutcomeOf(c.DryRun(ctx, pod, gracePeriod))
}
