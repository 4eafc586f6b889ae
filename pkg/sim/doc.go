// Package sim is a model of a Kubernetes cluster as plain data with a virtual
// clock: nodes, pods, the controllers that replace pods, a scheduler, kubelets,
// the disruption controller's arithmetic and the eviction handler's answers.
//
// A Cluster starts no goroutine and reads no clock: time passes when Advance is
// called, and the same calls give the same cluster, down to names and versions.
// It is not safe for concurrent use. Objects are the API's own types. They are
// never changed once stored; every change stores a new object.
//
// The model covers what a drain depends on. It leaves out admission other than
// webhooks on evictions, conflicts between writers inside the API server,
// resources and affinity in the scheduler, and rollouts.
package sim
