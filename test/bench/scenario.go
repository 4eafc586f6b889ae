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
	// Turns are the contenders, and how often each runs at most: five times
	// where a goal is a median of five, and so rarely otherwise that the whole
	// takes 40 minutes.
	Turns []Turn
}

// Turn is a contender and how often it runs.
type Turn struct {
	Contender string
	Rounds    int
	// Slow ones run only with -slow.
	Slow bool
}

func scenarios() []Scenario {
	return []Scenario{
		{
			Name: "contended", Title: "40 nodes, 12 Deployments of 50 under budgets of 10 %, drain 20 nodes",
			Nodes: 40, Drained: 20, Apps: 12, Replicas: 50, MaxUnavailable: "10%", Start: 1700 * time.Millisecond, Stop: 2 * time.Second,
			Turns: []Turn{{ours, 5, false}, {kubectlParallel, 3, false}, {kubectlOne, 1, true}},
		},
		{
			Name: "serial-1s", Title: "one Deployment of 20 under maxUnavailable 1, ready after 1 s, drain 5 of 10 nodes",
			Nodes: 10, Drained: 5, Apps: 1, Replicas: 20, MaxUnavailable: "1", Start: time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 3, false}, {kubectlParallel, 2, false}, {kubectlOne, 1, true}, {every20s, 1, true}, {doubling, 1, true}, {windows, 1, true}},
		},
		{
			Name: "serial-5s", Title: "one Deployment of 20 under maxUnavailable 1, ready after 5 s, drain 5 of 10 nodes",
			Nodes: 10, Drained: 5, Apps: 1, Replicas: 20, MaxUnavailable: "1", Start: 5 * time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 1, false}, {kubectlParallel, 1, false}, {kubectlOne, 1, true}},
		},
		{
			Name: "free", Title: "12 nodes of 80 pods each without budgets, drain them all onto 12 others",
			Nodes: 24, Drained: 12, Apps: 12, Replicas: 80, Start: 500 * time.Millisecond, Stop: time.Second, Gathered: true,
			// kubectl in one command was not done with 2,000 pods after 4 minutes.
			Turns: []Turn{{ours, 5, false}, {kubectlParallel, 5, false}},
		},
		{
			Name: "one-node", Title: "one node of 30 pods, half of them under budgets of 1",
			Nodes: 4, Drained: 1, Apps: 8, Replicas: 15, Guarded: 4, MaxUnavailable: "1", Start: time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 3, false}, {kubectlParallel, 3, false}},
		},
		{
			// With 500 nodes, 10,000 pods and 100 nodes to drain one run takes ten
			// minutes on two cores, three of which are the drain.
			Name: "fleet", Title: "200 nodes, 4,000 pods in 80 Deployments of 50 under budgets of 10 %, drain 40 nodes requested at once",
			Nodes: 200, Drained: 40, Apps: 80, Replicas: 50, MaxUnavailable: "10%", Start: time.Second, Stop: time.Second,
			Turns: []Turn{{ours, 1, false}, {kubectlParallel, 1, false}},
		},
	}
}

// pods is how many pods the scenario has.
func (sc Scenario) pods() int { return sc.Apps * sc.Replicas }

func (sc Scenario) guarded(app int) bool {
	return sc.MaxUnavailable != "" && (sc.Guarded == 0 || app < sc.Guarded)
}
