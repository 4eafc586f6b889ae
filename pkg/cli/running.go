package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Running is the configuration that a drainer in the cluster was started with.
type Running struct {
	// Deployment names it for people.
	Deployment string
	// Args are the arguments of its program.
	Args []string
	// Read reads a file that its container mounts from a ConfigMap.
	Read func(path string) ([]byte, error)
}

// unreadable is the error of a configuration that cannot be read or understood, however
// often one tries. Where there is one, the defaults are assumed; any other error is a
// failure.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// Misunderstood is the error of a Daemon that does not understand what a Running says.
func Misunderstood(err error) error { return unreadable{err} }

func unreadablef(format string, args ...any) error {
	return unreadable{fmt.Errorf(format, args...)}
}

// findRunning reads how the drainer in the cluster is configured: that in the namespace.
// Without one it is the drainer in the default namespace or, if there is none, that in
// any other.
func findRunning(ctx context.Context, client kubernetes.Interface, namespace string) (*Running, error) {
	if namespace != "" {
		return findIn(ctx, client, namespace, "in the namespace "+namespace)
	}
	found, err := findIn(ctx, client, defaultNamespace, "in the namespace "+defaultNamespace)
	if none := (noDaemon{}); !errors.As(err, &none) && !apierrors.IsForbidden(err) {
		return found, err
	}
	anywhere, err := findIn(ctx, client, metav1.NamespaceAll, "in the cluster")
	if apierrors.IsForbidden(err) {
		return nil, unreadablef("no Deployment with the label %s was found in the namespace %s, and you may not list those of all namespaces; --namespace says where drainer runs", daemonLabels, defaultNamespace)
	}
	return anywhere, err
}

// noDaemon is the error if no drainer is deployed.
type noDaemon struct{ where string }

func (n noDaemon) Error() string {
	return fmt.Sprintf("no Deployment with the label %s was found %s", daemonLabels, n.where)
}

func findIn(ctx context.Context, client kubernetes.Interface, namespace, where string) (*Running, error) {
	list, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: daemonLabels})
	switch {
	case apierrors.IsForbidden(err):
		return nil, unreadablef("you may not list the Deployments %s: %w", where, err)
	case err != nil:
		return nil, fmt.Errorf("finding drainer's Deployment: %w", err)
	case len(list.Items) == 0:
		return nil, unreadable{noDaemon{where}}
	case len(list.Items) == 1:
		return runningOf(ctx, client, &list.Items[0])
	}
	var names []string
	for i := range list.Items {
		names = append(names, nameOf(&list.Items[i]))
	}
	slices.Sort(names)
	return nil, unreadablef("several Deployments with the label %s were found: %s; choose one with --namespace, or use --config", daemonLabels, strings.Join(names, ", "))
}

func nameOf(d *appsv1.Deployment) string {
	return fmt.Sprintf("deployment/%s in the namespace %s", d.Name, d.Namespace)
}

func runningOf(ctx context.Context, client kubernetes.Interface, d *appsv1.Deployment) (*Running, error) {
	pod := &d.Spec.Template.Spec
	container := daemonContainer(pod.Containers)
	if container == nil || container.Name != daemonName && len(pod.Containers) > 1 {
		return nil, unreadablef("%s has no container with the name %s", nameOf(d), daemonName)
	}
	r := &Running{Deployment: nameOf(d), Args: container.Args}
	if len(container.Command) > 0 {
		if path.Base(container.Command[0]) != daemonName {
			return nil, unreadablef("%s runs %s, not %s", nameOf(d), container.Command[0], daemonName)
		}
		r.Args = slices.Concat(container.Command[1:], container.Args)
	}
	r.Read = func(file string) ([]byte, error) {
		name, key, err := mountedKey(pod, container, file)
		if err != nil {
			return nil, err
		}
		mounted, err := client.CoreV1().ConfigMaps(d.Namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
			return nil, unreadable{err}
		case err != nil:
			return nil, err
		}
		text, there := mounted.Data[key]
		if !there {
			return nil, unreadablef("the ConfigMap %s/%s has no key %s", d.Namespace, name, key)
		}
		return []byte(text), nil
	}
	return r, nil
}

// daemonName is the name of drainer's container and of its program.
const daemonName = "drainer"

// daemonContainer is the container drainer or, if there is none, the first: the others
// are sidecars.
func daemonContainer(containers []corev1.Container) *corev1.Container {
	i := max(0, slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == daemonName }))
	if i >= len(containers) {
		return nil
	}
	return &containers[i]
}

// mountedKey is the ConfigMap, and the key in it, that the container reads the file from.
func mountedKey(pod *corev1.PodSpec, container *corev1.Container, file string) (name, key string, err error) {
	var found *corev1.VolumeMount
	for i := range container.VolumeMounts {
		mount := &container.VolumeMounts[i]
		if within(file, mount.MountPath) && (found == nil || within(mount.MountPath, found.MountPath)) {
			found = mount
		}
	}
	for i := range pod.Volumes {
		if v := &pod.Volumes[i]; found != nil && v.Name == found.Name && v.ConfigMap != nil {
			at := path.Join(found.SubPath, strings.TrimPrefix(path.Clean(file), path.Clean(found.MountPath)))
			return v.ConfigMap.Name, keyAt(v.ConfigMap, strings.TrimPrefix(at, "/")), nil
		}
	}
	return "", "", unreadablef("only a file that a ConfigMap volume contains can be read, not %s", file)
}

// within is true for the folder itself, and for what is in it.
func within(file, folder string) bool {
	file, folder = path.Clean(file), path.Clean(folder)
	return file == folder || folder == "/" || strings.HasPrefix(file, folder+"/")
}

// keyAt is the key of the ConfigMap that is mounted at the path.
func keyAt(v *corev1.ConfigMapVolumeSource, at string) string {
	for _, item := range v.Items {
		if item.Path == at {
			return item.Key
		}
	}
	return at
}

// assume makes daemon the configuration of the drainer in the cluster, changed by the
// flags, unless they name a file, completes it, and says in words what is assumed. Where
// the configuration cannot be read, the defaults are assumed.
func (s *shared) assume(ctx context.Context, client kubernetes.Interface, daemon Daemon) (string, error) {
	return s.assumeIn(ctx, client, daemon, s.cluster.overrides.Context.Namespace)
}

// assumeIn is assume for the drainer in the namespace, or in any if that is empty.
func (s *shared) assumeIn(ctx context.Context, client kubernetes.Interface, daemon Daemon, namespace string) (string, error) {
	says := "the configuration is that of --config"
	if !daemon.Named() {
		running, err := findRunning(ctx, client, namespace)
		if err == nil {
			says = "the configuration is that of " + running.Deployment
			err = daemon.Assume(running)
		}
		if hopeless := (unreadable{}); errors.As(err, &hopeless) {
			says = "the configuration is the default one, because " + visible(strings.ReplaceAll(err.Error(), "\n", "; "))
		} else if err != nil {
			return "", err
		}
	}
	if err := daemon.Complete(); err != nil {
		return "", exit{ExitUsage, err}
	}
	if flags := daemon.Overrides(); len(flags) > 0 {
		says += "; changed by --" + strings.Join(flags, ", --")
	}
	return says, nil
}
