package main

import "time"

// Scenario is a scene that every contender drains.
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
	// Gathered makes all pods start on the nodes that are drained.
	Gathered bool
	// Turns are the contenders, and how often each runs at the most: the slow
	// ones run less often, so that the whole takes 40 minutes.
	Turns []Turn
}

// Turn is a contender and how often it runs.
type Turn struct {
	Contender string
	Rounds    int
}

func scenarios() []Scenario {
	return []Scenario{
		{
			Name: "contended", Title: "40 nodes, 12 Deployments of 50 under budgets of 10 %, drain 20 nodes",
			Nodes: 40, Drained: 20, Apps: 12, Replicas: 50, MaxUnavailable: "10%", Start: 1700 * time.Millisecond, Stop: 2 * time.Second,
			Turns: []Turn{{ours, 3}, {kubectlParallel, 3}, {kubectlOne, 1}},
		},
		{
			Name: "serial-1s", Title: "one Deployment of 20 under maxUnavailable 1, ready after 1 s, drain 5 of 10 nodes",
			Nodes: 10, Drained: 5, Apps: 1, Replicas: 20, MaxUnavailable: "1", Start: time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 3}, {kubectlParallel, 2}, {kubectlOne, 1}, {every20s, 1}, {doubling, 1}, {windows, 1}},
		},
		{
			Name: "serial-5s", Title: "one Deployment of 20 under maxUnavailable 1, ready after 5 s, drain 5 of 10 nodes",
			Nodes: 10, Drained: 5, Apps: 1, Replicas: 20, MaxUnavailable: "1", Start: 5 * time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 1}, {kubectlParallel, 1}, {kubectlOne, 1}},
		},
		{
			Name: "free", Title: "20 nodes of 100 pods each without budgets, drain them all onto 20 others",
			Nodes: 40, Drained: 20, Apps: 20, Replicas: 100, Start: 500 * time.Millisecond, Stop: time.Second, Gathered: true,
			// kubectl in one command was not done with 2,000 pods after 4 minutes.
			Turns: []Turn{{ours, 1}, {kubectlParallel, 1}},
		},
		{
			Name: "one-node", Title: "one node of 30 pods, half of them under budgets of 1",
			Nodes: 4, Drained: 1, Apps: 8, Replicas: 15, Guarded: 4, MaxUnavailable: "1", Start: time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 3}, {kubectlParallel, 3}},
		},
		{
			// With 500 nodes, 10,000 pods and 100 nodes to drain one run takes ten
			// minutes on two cores, three of which are the drain.
			Name: "fleet", Title: "200 nodes, 4,000 pods in 80 Deployments of 50 under budgets of 10 %, drain 40 nodes requested at once",
			Nodes: 200, Drained: 40, Apps: 80, Replicas: 50, MaxUnavailable: "10%", Start: time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 1}, {kubectlParallel, 1}},
		},
	}
}

// pods is how many pods the scenario has.
func (sc Scenario) pods() int { return sc.Apps * sc.Replicas }

func (sc Scenario) guarded(app int) bool {
	return sc.MaxUnavailable != "" && (sc.Guarded == 0 || app < sc.Guarded)
}
