package e2e

import (
	"fmt"
	"slices"
	"strings"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/suite"
)

// user is who drainer is to the API server.
func (e *env) user() string { return "system:serviceaccount:" + e.namespace + ":drainer" }

// audit is what drainer asked the API server for.
func (e *env) audit(keep func(*cluster.AuditEvent) bool) []cluster.AuditEvent {
	e.Helper()
	events, err := shared.Cluster.AuditOf(e.user(), keep)
	if err != nil {
		e.Fatal(err)
	}
	return events
}

// evictions are drainer's POSTs to pods/eviction.
func (e *env) evictions() []cluster.AuditEvent {
	e.Helper()
	return e.audit((*cluster.AuditEvent).Eviction)
}

// awaitEvictions waits until the log has that many evictions at the least: a
// request comes into it a moment after it was answered.
func (e *env) awaitEvictions(n int) []cluster.AuditEvent {
	e.Helper()
	var sent []cluster.AuditEvent
	suite.Await(e, nil, fmt.Sprintf("%d evictions are in the audit log", n), func() error {
		if sent = e.evictions(); len(sent) < n {
			return await.NotYet("%d are", len(sent))
		}
		return nil
	})
	return sent
}

// sentFor are the evictions of an app's pods, of which there are some, in the
// order in which they came.
func (e *env) sentFor(app string) []cluster.AuditEvent {
	e.Helper()
	var sent []cluster.AuditEvent
	poll(e.T, "an eviction of "+app+" is in the audit log", func() bool {
		sent = slices.DeleteFunc(e.evictions(), func(a cluster.AuditEvent) bool { return !strings.HasPrefix(a.ObjectRef.Name, app) })
		return len(sent) > 0
	})
	slices.SortFunc(sent, func(a, b cluster.AuditEvent) int { return a.Received.Compare(b.Received) })
	return sent
}

// writesOf are the changes that drainer made to a node's cordon.
func (e *env) writesOf(node string) []cluster.AuditEvent {
	e.Helper()
	return e.audit(func(a *cluster.AuditEvent) bool {
		return a.Verb == "patch" && a.ObjectRef.Resource == "nodes" && a.ObjectRef.Name == node && a.ObjectRef.Subresource == ""
	})
}

// refused are those that were not answered with 2xx.
func refused(events []cluster.AuditEvent) []cluster.AuditEvent {
	return slices.DeleteFunc(slices.Clone(events), func(a cluster.AuditEvent) bool { return a.ResponseStatus.Code/100 == 2 })
}

// checkOnce fails the test unless pods of the number were sent, and none was
// admitted twice. A request that its process did not live to see answered may
// have been carried out anyway.
func (e *env) checkOnce(pods int) {
	e.Helper()
	sent, admitted := map[string]bool{}, map[string]int{}
	for _, p := range e.awaitEvictions(pods) {
		sent[p.ObjectRef.Name] = true
		if p.ResponseStatus.Code/100 == 2 {
			admitted[p.ObjectRef.Name]++
		}
	}
	if len(sent) != pods {
		e.Errorf("%d pods were sent, want %d", len(sent), pods)
	}
	for name, n := range admitted {
		if n > 1 {
			e.Errorf("%s was evicted %d times", name, n)
		}
	}
}
