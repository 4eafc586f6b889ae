package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Workload is a controller and its pods, or a pod without one.
type Workload struct {
	// Kind is deployment, statefulset, daemonset, job or pod.
	Kind, Name, App string
	Replicas        int
	// Node limits it to one node, if it is not empty.
	Node string
	// Start and Stop are how long its pods take; Stop is their grace period, too.
	Start, Stop time.Duration
	// Parallel is a StatefulSet's podManagementPolicy.
	Parallel bool
	// Hold gives its pods a finalizer.
	Hold bool
}

// Finalizer is what holds the pods of a Workload with Hold.
const Finalizer = "example.com/hold"

// Cluster is a side that the script can run on. Its names are those of the
// script; a section has a cluster, or a namespace and nodes of one, of its own.
type Cluster interface {
	Client() kubernetes.Interface
	// Namespace is where the section's objects are.
	Namespace() string
	// Node is the name of one of the section's nodes.
	Node(name string) string
	AddNode(ctx context.Context, name string) error
	Run(ctx context.Context, w Workload) error
	Scale(ctx context.Context, deployment string, replicas int) error
	// UpdatePod changes a pod's metadata or status, as its kubelet or owner does.
	UpdatePod(ctx context.Context, name string, change func(*corev1.Pod)) error
	Cordon(ctx context.Context, node string, unschedulable bool) error
	TerminateNamespace(ctx context.Context) error
	// Await returns nil once the condition does, and the condition's error if it
	// is another one than ErrOther or there is no more time.
	Await(ctx context.Context, what string, condition func() error) error
}

// runner runs one section.
type runner struct {
	Cluster
	// aliases are the script's names of the pods by UID; named are the pods by
	// the script's name.
	aliases map[string]string
	named   map[string]*corev1.Pod
	counts  map[string]int
}

// Run runs a section on a side.
func Run(ctx context.Context, t *testing.T, side Side, c Cluster, s Section) {
	t.Helper()
	r := &runner{Cluster: c, aliases: map[string]string{}, named: map[string]*corev1.Pod{}, counts: map[string]int{}}
	for _, step := range s.Steps {
		want := s.wantOn(side, step)
		got, err := r.take(ctx, step.Command, want)
		if err != nil {
			t.Fatalf("script/%s.txt:%d: %s: %v", s.Name, step.Line, step.Command, err)
		}
		if got != want {
			t.Errorf("script/%s.txt:%d: %s gives on %s\n%s\nwant\n%s", s.Name, step.Line, step.Command, side, got, want)
		}
	}
}

// take takes a step. What only looks is repeated until it gives what is wanted.
func (r *runner) take(ctx context.Context, command, want string) (string, error) {
	words := strings.Fields(command)
	o := options(words[1:])
	repeat := words[0] == "show" || words[0] == "evict" && o["dryRun"] != ""
	if !repeat {
		return r.do(ctx, words, o)
	}
	got := ""
	err := r.Await(ctx, fmt.Sprintf("%s gives\n%s\n", command, want), func() (err error) {
		if got, err = r.do(ctx, words, o); err == nil && got != want {
			err = fmt.Errorf("%w:\n%s", ErrOther, got)
		}
		return err
	})
	if errors.Is(err, ErrOther) {
		err = nil // The caller compares.
	}
	return got, err
}

// options are the words of a command that say something of it, as key=value.
func options(words []string) map[string]string {
	o := map[string]string{}
	for _, word := range words {
		key, value, found := strings.Cut(word, "=")
		if !found {
			value = "true"
		}
		o[key] = value
	}
	return o
}

func (r *runner) do(ctx context.Context, words []string, o map[string]string) (string, error) {
	if err := r.look(ctx); err != nil {
		return "", err
	}
	switch words[0] {
	case "evict":
		return r.evict(ctx, words[1], o)
	case "delete":
		return r.remove(ctx, words[1], o)
	case "show":
		return r.show(ctx, words[1], words[2])
	default:
		return "", r.prepare(ctx, words, o)
	}
}

// prepare takes a step that gives nothing.
func (r *runner) prepare(ctx context.Context, words []string, o map[string]string) error {
	switch words[0] {
	case "node":
		return r.AddNode(ctx, words[1])
	case "cordon", "uncordon":
		return r.Cordon(ctx, r.Node(words[1]), words[0] == "cordon")
	case "run":
		return r.run(ctx, words[1], words[2], o)
	case "scale":
		n, err := strconv.Atoi(words[3])
		if err != nil {
			return fmt.Errorf("the number of replicas: %w", err)
		}
		return r.Scale(ctx, words[2], n)
	case "ready", "unready", "succeed", "fail", "release":
		return r.kubelet(ctx, words[0], words[1:])
	case "budget":
		return r.budget(ctx, words[1], o)
	case "remove-budget":
		return r.Client().PolicyV1().PodDisruptionBudgets(r.Namespace()).Delete(ctx, words[1], metav1.DeleteOptions{})
	case "disrupt":
		return r.disrupt(ctx, words[1], o)
	case "terminate-namespace":
		return r.TerminateNamespace(ctx)
	default:
		return fmt.Errorf("%q is no command: see prepare and do in run.go for those that are", words[0])
	}
}

// look gives the pods that are new their names.
func (r *runner) look(ctx context.Context) error {
	list, err := r.Client().CoreV1().Pods(r.Namespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	for i := range list.Items {
		pod := &list.Items[i]
		alias, known := r.aliases[string(pod.UID)]
		if !known {
			alias = r.alias(pod)
			r.aliases[string(pod.UID)] = alias
		}
		r.named[alias] = pod
	}
	return nil
}

// alias is a pod's name in the script: its own in a StatefulSet.
func (r *runner) alias(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && owner.Kind == "StatefulSet" {
		return pod.Name
	}
	app := pod.Labels["app"]
	r.counts[app]++
	return fmt.Sprintf("%s#%d", app, r.counts[app])
}

func (r *runner) run(ctx context.Context, kind, name string, o map[string]string) error {
	w := Workload{Kind: kind, Name: name, App: name, Replicas: 1, Stop: time.Second, Parallel: o["parallel"] != "", Hold: o["hold"] != ""}
	for key, value := range o {
		var err error
		switch key {
		case "app":
			w.App = value
		case "replicas":
			w.Replicas, err = strconv.Atoi(value)
		case "on":
			w.Node = r.Node(value)
		case "start":
			w.Start, err = time.ParseDuration(value)
		case "stop":
			w.Stop, err = time.ParseDuration(value)
		}
		if err != nil {
			return err
		}
	}
	return r.Run(ctx, w)
}

// kubelet does something about pods that their kubelet or their owner does.
func (r *runner) kubelet(ctx context.Context, deed string, pods []string) error {
	for _, alias := range pods {
		pod := r.named[alias]
		if pod == nil {
			return fmt.Errorf("there is no pod %s", alias)
		}
		if err := r.UpdatePod(ctx, pod.Name, func(p *corev1.Pod) {
			switch deed {
			case "ready", "unready":
				setReady(p, deed == "ready")
			case "succeed":
				setReady(p, false)
				p.Status.Phase = corev1.PodSucceeded
			case "fail":
				setReady(p, false)
				p.Status.Phase = corev1.PodFailed
			case "release":
				p.Finalizers = nil
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

func setReady(p *corev1.Pod, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = slices.DeleteFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: status})
}
