package cluster

// Versions of what the cluster is made of. The go.mod files under build say
// the same; a test compares them.
const (
	KubernetesVersion = "v1.37.2"
	EtcdVersion       = "v3.7.3"
	KwokVersion       = "v0.8.0"
)
