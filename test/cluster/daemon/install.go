// Package daemon runs drainer as a process of its own beside a local cluster,
// as the ServiceAccount and under the permissions of deploy.
package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"drainer.dev/drainer/deploy"
	"drainer.dev/drainer/test/cluster"
)

// Build builds drainer. What only a debugger reads is left out, which makes it
// faster to link.
func Build(ctx context.Context, path string) error {
	checkout, err := cluster.Checkout(ctx)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx,
		"go", "build", "-C", checkout, "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./cmd/drainer").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building drainer: %w\n%s", err, out)
	}
	return nil
}

// manifests are the objects of deploy, decoded strictly.
func manifests() ([]runtime.Object, error) {
	files, err := fs.Glob(deploy.Manifests, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing the manifests: %w", err)
	}
	var objects []runtime.Object
	for _, file := range files {
		// Neither is an object of the API.
		if file == "kustomization.yaml" || file == "drainer.yaml" {
			continue
		}
		text, err := fs.ReadFile(deploy.Manifests, file)
		if err != nil {
			return nil, fmt.Errorf("reading deploy/%s: %w", file, err)
		}
		documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("reading deploy/%s: %w", file, err)
			}
			object, _, err := strictYAML().Decode(document, nil, nil)
			if err != nil {
				return nil, fmt.Errorf("decoding deploy/%s: %w", file, err)
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// strictYAML refuses fields that the API does not have.
func strictYAML() runtime.Decoder {
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeYAML)
	return info.StrictSerializer
}

// Manifest is the first object of deploy that has the type.
func Manifest[T runtime.Object]() (T, error) {
	var none T
	all, err := Manifests[T]()
	if err != nil {
		return none, err
	}
	return all[0], nil
}

// Manifests are the objects of deploy that have the type, at least one.
func Manifests[T runtime.Object]() ([]T, error) {
	objects, err := manifests()
	if err != nil {
		return nil, err
	}
	var all []T
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			all = append(all, typed)
		}
	}
	if len(all) == 0 {
		var none T
		return nil, fmt.Errorf("deploy has no %T", none)
	}
	return all, nil
}

// InstallClusterRole creates deploy's ClusterRole.
func InstallClusterRole(ctx context.Context, client kubernetes.Interface) error {
	role, err := Manifest[*rbacv1.ClusterRole]()
	if err != nil {
		return err
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating deploy's ClusterRole: %w", err)
	}
	return nil
}

// BindingName is the name of the ClusterRoleBinding for a namespace.
func BindingName(namespace string) string { return "drainer-" + namespace }

// InstallAccount makes deploy's ServiceAccount, Role and bindings in another
// namespace, as kustomize would.
func InstallAccount(ctx context.Context, client kubernetes.Interface, namespace string) error {
	objects, err := manifests()
	if err != nil {
		return err
	}
	o := metav1.CreateOptions{}
	for _, object := range objects {
		switch x := object.(type) {
		case *corev1.ServiceAccount:
			x.Namespace = namespace
			_, err = client.CoreV1().ServiceAccounts(namespace).Create(ctx, x, o)
		case *rbacv1.Role:
			x.Namespace = namespace
			_, err = client.RbacV1().Roles(namespace).Create(ctx, x, o)
		case *rbacv1.RoleBinding:
			x.Namespace, x.Subjects[0].Namespace = namespace, namespace
			_, err = client.RbacV1().RoleBindings(namespace).Create(ctx, x, o)
		case *rbacv1.ClusterRoleBinding:
			x.Name, x.Subjects[0].Namespace = BindingName(namespace), namespace
			_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, x, o)
		}
		if err != nil {
			return fmt.Errorf("creating a %T in %s: %w", object, namespace, err)
		}
	}
	return nil
}
