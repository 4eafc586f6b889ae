// Package cluster is a real Kubernetes control plane on this machine, for
// tests, demonstrations and people: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, and kwok in place of kubelets.
//
// A cluster is supervised by a separate process, which ends it when the process
// that started it ends, however that happens. That keeper is the running
// program itself, started a second time: KeeperMain is its main function.
package cluster
