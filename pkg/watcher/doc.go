// Package watcher owns every informer and answers what is there now. Nodes,
// DaemonSets and PodDisruptionBudgets are watched for the whole cluster, cut
// down to what is used; pods only on the nodes that are being drained, so that
// memory and watch traffic grow with the work and not with the cluster.
package watcher
