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
	// Args are the arguments of its container.
	Args []string
	// File is the path of its configuration file, and Text what that says; File is empty
	// if it has none.
	File, Text string
}

// findRunning reads how the drainer in the cluster is configured: that in the namespace,
// or in any namespace if that is empty. It returns nil if there is none.
func findRunning(ctx context.Context, client kubernetes.Interface, namespace string) (*Running, error) {
	list, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: daemonLabels})
	if apierrors.IsForbidden(err) && namespace == "" {
		list, err = client.AppsV1().Deployments(defaultNamespace).List(ctx, metav1.ListOptions{LabelSelector: daemonLabels})
	}
	if err != nil {
		return nil, fmt.Errorf("finding drainer's Deployment: %w", err)
	}
	switch len(list.Items) {
	case 0:
		return nil, nil
	case 1:
		return runningOf(ctx, client, &list.Items[0])
	}
	var names []string
	for i := range list.Items {
		names = append(names, nameOf(&list.Items[i]))
	}
	slices.Sort(names)
	return nil, fmt.Errorf("there are several: %s", strings.Join(names, ", "))
}

func nameOf(d *appsv1.Deployment) string {
	return fmt.Sprintf("deployment/%s in the namespace %s", d.Name, d.Namespace)
}

func runningOf(ctx context.Context, client kubernetes.Interface, d *appsv1.Deployment) (*Running, error) {
	pod := &d.Spec.Template.Spec
	container := daemonContainer(pod.Containers)
	if container == nil {
		return nil, fmt.Errorf("%s has no container", nameOf(d))
	}
	r := &Running{Deployment: nameOf(d), Args: container.Args, File: configFile(container.Args)}
	if r.File == "" {
		return r, nil
	}
	name, key, err := mountedKey(pod, container, r.File)
	if err != nil {
		return nil, fmt.Errorf("%s has --config=%s: %w", r.Deployment, r.File, err)
	}
	mounted, err := client.CoreV1().ConfigMaps(d.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", r.Deployment, err)
	}
	text, there := mounted.Data[key]
	if !there {
		return nil, fmt.Errorf("the ConfigMap %s/%s, which %s mounts, has no key %s", d.Namespace, name, r.Deployment, key)
	}
	r.Text = text
	return r, nil
}

// daemonContainer is the container drainer or, if there is none, the first: the others
// are sidecars.
func daemonContainer(containers []corev1.Container) *corev1.Container {
	i := max(0, slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == "drainer" }))
	if i >= len(containers) {
		return nil
	}
	return &containers[i]
}

// configFile is the value of --config, which is given once at most.
func configFile(args []string) string {
	for i, arg := range args {
		flag, value, both := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		switch {
		case flag != "-config":
		case both:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// mountedKey is the ConfigMap, and the key in it, that the container reads the file from.
func mountedKey(pod *corev1.PodSpec, container *corev1.Container, file string) (name, key string, err error) {
	for _, mount := range container.VolumeMounts {
		rest, below := strings.CutPrefix(path.Clean(file), path.Clean(mount.MountPath)+"/")
		if mount.SubPath != "" {
			rest, below = mount.SubPath, path.Clean(file) == path.Clean(mount.MountPath)
		}
		if !below {
			continue
		}
		for i := range pod.Volumes {
			if v := &pod.Volumes[i]; v.Name == mount.Name && v.ConfigMap != nil {
				return v.ConfigMap.Name, keyAt(v.ConfigMap, rest), nil
			}
		}
	}
	return "", "", errors.New("only a file that is mounted from a ConfigMap can be read")
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
// flags, unless they name a file, and returns in words what is assumed. Where that one's
// configuration cannot be read, the defaults remain. The error is of a flag.
func (s *shared) assume(ctx context.Context, client kubernetes.Interface, daemon Daemon) (string, error) {
	return s.assumeIn(ctx, client, daemon, s.cluster.overrides.Context.Namespace)
}

// assumeIn is assume for the drainer in the namespace, or in any namespace if that is
// empty.
func (s *shared) assumeIn(ctx context.Context, client kubernetes.Interface, daemon Daemon, namespace string) (string, error) {
	if daemon.Named() {
		return "drainer is configured by --config", daemon.Complete()
	}
	running, err := findRunning(ctx, client, namespace)
	if err == nil && running != nil {
		err = daemon.Assume(running)
	}
	var says string
	switch {
	case err != nil:
		says = fmt.Sprintf("drainer has its default configuration, because that of the one in the cluster cannot be read: %v", err)
	case running != nil:
		says = fmt.Sprintf("drainer is configured like %s", running.Deployment)
	case namespace != "":
		says = fmt.Sprintf("drainer has its default configuration, because none runs in the namespace %s", namespace)
	default:
		says = "drainer has its default configuration, because none runs in the cluster"
	}
	return says, daemon.Complete()
}
