package main

import "time"

// Scenario is what is drained.
type Scenario struct {
	Name, Title string
	// Nodes are in the cluster, the first Drained of which are drained.
	Nodes, Drained int
	// Apps are Deployments of Replicas pods each.
	Apps, Replicas int
	// MaxUnavailable is that of every app's budget; none if empty.
	MaxUnavailable string
	// Guarded apps have the budget, the others none; all if 0.
	Guarded int
	// Start is from a pod's creation until it is ready, Stop from its deletion
	// until it is gone.
	Start, Stop time.Duration
	// Polling adds the models of polling evictors.
	Polling bool
}

func scenarios() []Scenario {
	return []Scenario{
		{
			Name: "contended", Title: "40 nodes, 12 Deployments of 50 under budgets of 10 %, drain 20 nodes",
			Nodes: 40, Drained: 20, Apps: 12, Replicas: 50, MaxUnavailable: "10%", Start: 1700 * time.Millisecond, Stop: 2 * time.Second,
		},
		{
			Name: "serial-1s", Title: "one Deployment of 20 under maxUnavailable 1, ready after 1 s, drain 5 of 10 nodes",
			Nodes: 10, Drained: 5, Apps: 1, Replicas: 20, MaxUnavailable: "1", Start: time.Second, Stop: time.Second, Polling: true,
		},
		{
			Name: "serial-5s", Title: "one Deployment of 20 under maxUnavailable 1, ready after 5 s, drain 5 of 10 nodes",
			Nodes: 10, Drained: 5, Apps: 1, Replicas: 20, MaxUnavailable: "1", Start: 5 * time.Second, Stop: time.Second, Polling: true,
		},
		{
			Name: "free", Title: "20 nodes of 100 pods each without budgets, drain them all onto 20 others",
			Nodes: 40, Drained: 20, Apps: 20, Replicas: 200, Start: 500 * time.Millisecond, Stop: time.Second,
		},
		{
			Name: "one-node", Title: "one node of 30 pods, half of them under budgets of 1",
			Nodes: 4, Drained: 1, Apps: 8, Replicas: 15, Guarded: 4, MaxUnavailable: "1", Start: time.Second, Stop: time.Second,
		},
	}
}

// pods is how many pods the scenario has.
func (sc Scenario) pods() int { return sc.Apps * sc.Replicas }

func (sc Scenario) guarded(app int) bool {
	return sc.MaxUnavailable != "" && (sc.Guarded == 0 || app < sc.Guarded)
}
