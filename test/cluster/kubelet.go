package cluster

import (
	"context"
	"io"
	"path/filepath"
)

// Kubelet returns the path of a kubelet of the newest Kubernetes that clusters are
// made of, and builds it if it is missing. Progress is written for a person.
func Kubelet(ctx context.Context, progress io.Writer) (string, error) {
	const name = "kubelet"
	b := knownKubernetes()[0].binary(name)
	b.module = name
	set := programs{
		name: name + "-" + KubernetesVersion, all: []binary{b},
		finish: func(context.Context, string, string) error { return nil },
	}
	dir, err := set.build(ctx, progress)
	return filepath.Join(dir, name), err
}
