package main

import "context"

// Probes are the figures that need no contender; those that were not taken are
// empty.
type Probes struct {
	Rate     *Rate     `json:",omitempty"`
	Reaction *Reaction `json:",omitempty"`
	Idle     *Idle     `json:",omitempty"`
	Watched  *Watched  `json:",omitempty"`
	// Neighbour is what others see of the API server.
	Neighbour *Neighbour `json:",omitempty"`
}

// probe takes one of them.
type probe struct {
	name, title string
	take        func(*stage, context.Context, *Probes) error
}

func probes() []probe {
	return []probe{
		{"rate", "20 nodes of 100 pods that nothing guards or controls, on nodes without a kubelet", (*stage).probeRate},
		{"reaction", "1,000 nodes, one request at a time, ten a second, 300 times after 100 that do not count", (*stage).probeReaction},
		{"watched", "500 nodes without a kubelet, 60 pods of 15 KB on each under a budget without room, all requested", (*stage).probeWatched},
		{"neighbour", "500 nodes without a kubelet with 10,000 pods that nothing guards, 100 nodes requested, and another client that sends 20 requests a second", (*stage).probeNeighbour},
		{"idle", "5,000 nodes with 50,000 pods, nothing requested; then one node", (*stage).probeIdle},
	}
}
