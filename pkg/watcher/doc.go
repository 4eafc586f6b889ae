// Package watcher watches the cluster and provides its current state. It
// watches Nodes, DaemonSets and PodDisruptionBudgets in the whole cluster, and
// keeps only the fields that are used. It watches pods only on nodes that are
// being drained, so that memory and watch traffic grow with the work and not
// with the cluster.
package watcher
