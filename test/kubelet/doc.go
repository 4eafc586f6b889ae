// Package kubelet shows that a node is Drained only once its containers are gone,
// on a real kubelet with containerd and runc: kwok, which plays the kubelet in the
// other suites, has no containers. make test-kubelet runs it, on Linux as root.
package kubelet
