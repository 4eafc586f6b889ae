package drain_test

import (
	"encoding/json"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
	"drainer.dev/drainer/test/scenario"
)

// rule is a fault as the server knows it.
func (r *randomRun) rule(f *scenario.Fault) apiserver.Rule {
	seen := 0
	rule := apiserver.Rule{
		Match: func(q apiserver.Request) bool {
			after := q.Began.Sub(r.begun)
			if class, known := classOf(q); !known || class != f.Class || after < f.From || after >= f.Until {
				return false
			}
			seen++
			return seen%f.Every == 0
		},
		Before: f.Delay, After: f.Wait, CarriedOut: f.CarriedOut,
	}
	switch {
	case f.Error != nil:
		rule.Answer = apiserver.AnswerError(f.Error)
	case f.Lost && f.CarriedOut:
		rule.Break = apiserver.BreakAfter
	case f.Lost:
		rule.Break = apiserver.BreakBefore
	}
	return rule
}

// classOf is the class of a request that a fault may befall. The lists by which
// watches begin, leases and events are of none.
func classOf(q apiserver.Request) (class scenario.Class, known bool) {
	_, lists := listedNode(q)
	switch {
	case evicts(q), deletes(q):
		return scenario.Evictions, true
	case writesNode(q):
		return scenario.Writes, true
	case lists, readsVolumes(q), q.Verb == "get" && (q.Resource == sim.Nodes || q.Resource == sim.Pods || q.Resource == sim.Budgets):
		return scenario.Reads, true
	default:
		return 0, false
	}
}

// listedNode is the node of whose pods the request is a list that is not the
// beginning of a watch.
func listedNode(q apiserver.Request) (node string, listed bool) {
	node, selects := strings.CutPrefix(q.Query.Get("fieldSelector"), "spec.nodeName=")
	return node, listsPods(q) && selects && !q.Query.Has("resourceVersion")
}

// lag lets watches show what happens late, by as much at most.
func (r *randomRun) lag(l scenario.Lag) {
	pause := func(d time.Duration) bool {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-r.ctx.Done():
			return false
		}
	}
	if !pause(l.From) {
		return
	}
	for time.Since(r.begun) < l.Until {
		resume := r.server.Stall(func(q apiserver.Request) bool { return q.Verb == "watch" && q.Resource == l.Resource })
		goesOn := pause(l.By)
		resume()
		// The watches show what has gathered.
		if !goesOn || !pause(time.Millisecond) {
			return
		}
	}
}

// preconditionOf is the UID of the pod that the eviction is about.
func preconditionOf(q apiserver.Request) types.UID {
	var e policyv1.Eviction
	if err := json.Unmarshal(q.Body, &e); err != nil || e.DeleteOptions == nil || e.DeleteOptions.Preconditions == nil || e.DeleteOptions.Preconditions.UID == nil {
		return ""
	}
	return *e.DeleteOptions.Preconditions.UID
}
