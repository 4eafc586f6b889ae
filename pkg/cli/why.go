package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

func (s *shared) why() *cobra.Command {
	ask, daemon := true, s.Daemon(s.config)
	var output Output
	c := &cobra.Command{
		Use:   "why {POD | NAMESPACE/POD}",
		Short: "Show why a pod has not left its node yet",
		Long: "why shows what drainer says about a pod and about its node, and asks the API server whether it would admit the\n" +
			"eviction of the pod now (a dry run). It writes nothing. It assumes the configuration of the drainer in the cluster\n" +
			"or, if there is none, the default one. Flags change that configuration, and --config replaces it.",
		Example: example(
			"# See why a pod is still there", "why -n shop web-7f",
			"# The same, as status names the pod", "why shop/web-7f",
		),
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := errors.Join(output.Check(), daemon.Check()); err != nil {
				return exit{ExitUsage, err}
			}
			w, err := s.runWhy(c.Context(), args[0], ask, daemon)
			if err != nil {
				return err
			}
			if output.ForPrograms() {
				return output.Write(s.Out, w)
			}
			s.printf("%s\n", strings.Join(w.lines(s.Now(), newScreen(s.Out).width()), "\n"))
			return nil
		},
	}
	output.Add(c.Flags())
	c.Flags().BoolVar(&ask, "verdict", ask, "ask the API server for a verdict; needs the permission to create pods/eviction")
	daemon.Add(c.Flags())
	// Only what drainer's own rules need is of interest here.
	for _, name := range []string{"start-time", "start-time-of", "stop-time", "removal-delay", "api-latency", "controller-delay", "limit"} {
		_ = c.Flags().MarkHidden(name)
	}
	c.Flags().SortFlags = false
	return c
}

func (s *shared) runWhy(ctx context.Context, name string, ask bool, daemon Daemon) (*whyPod, error) {
	namespace, pod, err := s.podNamed(name)
	if err != nil {
		return nil, err
	}
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	// --namespace is that of the pod here.
	configured, err := s.assumeIn(ctx, client, daemon, "")
	if err != nil {
		return nil, err
	}
	p, err := client.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading pod %s/%s: %w", namespace, pod, err)
	}
	if p.Spec.NodeName == "" {
		return &whyPod{Pod: namespace + "/" + pod}, nil
	}
	node, err := client.CoreV1().Nodes().Get(ctx, p.Spec.NodeName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading node %s: %w", p.Spec.NodeName, err)
	}
	v, err := s.verdictOn(ctx, client, p, node, ask, daemon.Simulation())
	if err != nil {
		return nil, err
	}
	w := explain(p, node, *v)
	if v.Verdict != going {
		w.Configured = configured
	}
	return w, nil
}

// verdictOn is what would happen to the eviction of the pod now.
func (s *shared) verdictOn(ctx context.Context, client kubernetes.Interface, p *corev1.Pod, node *corev1.Node, ask bool, o simulate.Options) (*verdict, error) {
	judge, err := s.judge(ctx, ask)
	if err != nil {
		return nil, err
	}
	around, err := surroundingsOf(ctx, client, p, o)
	if err != nil {
		return nil, err
	}
	around.Pool = o.Daemon.Selectors.NodeOf(node).Pool
	v := judgedPod(ctx, o.Daemon.Config.Rules.PodOf(p), around, &o.Daemon.Config, judge, s.Now())
	return &v, nil
}

// surroundingsOf reads what decides about a pod besides the pod itself and its pool.
func surroundingsOf(ctx context.Context, client kubernetes.Interface, p *corev1.Pod, o simulate.Options) (around plan.Surroundings, err error) {
	namespace, rules := p.Namespace, o.Daemon.Config.Rules
	if around.DaemonSets, err = daemonSetsOf(ctx, client, namespace); err != nil {
		return around, err
	}
	budgets, err := client.PolicyV1().PodDisruptionBudgets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return around, fmt.Errorf("listing the PodDisruptionBudgets of the namespace %s: %w", namespace, err)
	}
	around.Budgets = budgetsOf(budgets.Items)
	if rules.LooksAtNamespaces() {
		ns, err := client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if err != nil {
			return around, fmt.Errorf("reading the namespace %s, whose labels rules look at: %w", namespace, err)
		}
		around.NamespaceLabels = rules.LabelsOfAll([]corev1.Namespace{*ns})
	}
	around.Scales, err = scaleOf(ctx, client, p, rules)
	return around, err
}

// podNamed is the pod that POD, pod/POD or NAMESPACE/POD means.
func (s *shared) podNamed(name string) (namespace, pod string, err error) {
	namespace, pod, both := strings.Cut(strings.TrimPrefix(name, "pod/"), "/")
	if both {
		return namespace, pod, nil
	}
	pod = namespace
	namespace, err = s.cluster.namespace()
	return namespace, pod, err
}

// daemonSetsOf are the DaemonSets of a namespace.
func daemonSetsOf(ctx context.Context, client kubernetes.Interface, namespace string) (map[types.UID]bool, error) {
	list, err := client.AppsV1().DaemonSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the DaemonSets of the namespace %s: %w", namespace, err)
	}
	uids := map[types.UID]bool{}
	for i := range list.Items {
		uids[list.Items[i].UID] = true
	}
	return uids, nil
}

// scaleOf is the scale of the pod's controller, if rules look at scales.
func scaleOf(ctx context.Context, client kubernetes.Interface, p *corev1.Pod, rules *plan.Rules) (map[types.UID]plan.ScaleMemory, error) {
	owner := plan.PodOf(p).Controller
	if !rules.LooksAtScales() || !owner.Scales() {
		return nil, nil
	}
	var o simulate.Objects
	var err error
	if owner.Kind == "StatefulSet" {
		err = one(ctx, client.AppsV1().StatefulSets(p.Namespace).Get, owner.Name, &o.StatefulSets)
	} else {
		err = one(ctx, client.AppsV1().ReplicaSets(p.Namespace).Get, owner.Name, &o.ReplicaSets)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the scale of %s %s/%s, which rules look at: %w", owner.Kind, p.Namespace, owner.Name, err)
	}
	return scalesOf(&o), nil
}

// one reads one object.
func one[O any](ctx context.Context, get func(context.Context, string, metav1.GetOptions) (*O, error), name string, into *[]O) error {
	o, err := get(ctx, name, metav1.GetOptions{})
	if err == nil {
		*into = []O{*o}
	}
	return err
}

// whyPod is what is known about why a pod is still on its node.
type whyPod struct {
	Pod string `json:"pod"`
	// Node is empty for a pod that is on no node.
	Node string `json:"node,omitempty"`
	// Request, Phase and Message are those of the node.
	Request string    `json:"request,omitempty"`
	Phase   api.Phase `json:"phase,omitempty"`
	Message string    `json:"message,omitempty"`
	// GracePeriodEnd is set for a pod that terminates.
	GracePeriodEnd *time.Time `json:"gracePeriodEnd,omitempty"`
	Finalizers     []string   `json:"finalizers,omitempty"`
	// Departure is what the pod's own spec says about how it leaves.
	Departure string `json:"departure,omitempty"`
	// Blocker is what drainer says about the pod; nil if it says nothing.
	Blocker *api.Blocker `json:"blocker,omitempty"`
	// Verdict is what would happen to its eviction now, by a configuration that Configured
	// says in words.
	Verdict    *verdict `json:"verdict,omitempty"`
	Configured string   `json:"configured,omitempty"`
	Fix        string   `json:"fix,omitempty"`
}

// explain finds out why a pod is still on its node.
func explain(pod *corev1.Pod, node *corev1.Node, v verdict) *whyPod {
	w := &whyPod{Pod: pod.Namespace + "/" + pod.Name, Node: node.Name, Departure: plan.PodOf(pod).Departure.String(), Verdict: &v}
	r, _ := rowOf(node)
	w.Request, w.Phase, w.Message = r.Request, r.Phase, r.Message
	if pod.DeletionTimestamp != nil {
		w.GracePeriodEnd, w.Finalizers = &pod.DeletionTimestamp.Time, pod.Finalizers
	}
	if w.Blocker = blockerOf(r.Status, w.Pod); w.Blocker != nil {
		w.Fix = fixOf(r.Status, w.Blocker)
	}
	if w.Fix == "" && v.Verdict == blocked {
		w.Fix = simulate.Fix(plan.Reason(v.Reason), "(see the message)", "")
	}
	return w
}

// lines says it to people.
func (w *whyPod) lines(now time.Time, width int) []string {
	if w.Node == "" {
		return []string{fit("Pod "+w.Pod+" is on no node.", width)}
	}
	lines := []string{fit(fmt.Sprintf("Pod %s on node %s", w.Pod, w.Node), width)}
	say := func(text string) { lines = append(lines, wrap(text, "  ", width)...) }
	switch {
	case w.Request == "":
		say("The node has no request: drainer evicts nothing from it.")
	case w.Phase == "":
		say("The node has the request " + w.Request + ", and drainer has not answered yet.")
	default:
		say(fmt.Sprintf("The node is %s for the request %s: %s", w.Phase, w.Request, w.Message))
	}
	if w.GracePeriodEnd != nil {
		say("The pod is terminating: " + terminating(*w.GracePeriodEnd, w.Finalizers, now))
	}
	if w.Departure != "" {
		say("From the pod's spec: " + w.Departure)
	}
	if b := w.Blocker; b != nil {
		say(fmt.Sprintf("drainer says: %s%s, %s", b.State, lasting(b.Since, now), b.Message))
	}
	switch v := w.Verdict; v.Verdict {
	case leaves:
		say("If it were evicted now: " + orText(v.Message, "the API server would admit it."))
	case going:
	default:
		say(fmt.Sprintf("If it were evicted now: it %s: %s", strings.Replace(v.Verdict, blocked, "is blocked", 1), v.Message))
	}
	if w.Fix != "" {
		say("Fix: " + w.Fix)
	}
	if w.Configured != "" {
		say("Assumed: " + w.Configured)
	}
	return lines
}

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// terminating is how far a pod's end is.
func terminating(end time.Time, finalizers []string, now time.Time) string {
	text := "its grace period ends in " + age(&now, end)
	if end.Before(now) {
		text = "its grace period ended " + age(&end, now) + " ago"
	}
	if len(finalizers) > 0 {
		text += "; its finalizers are " + strings.Join(finalizers, ", ")
	}
	return text
}

// blockerOf is what a status says about a pod; nil if it says nothing.
func blockerOf(s *api.Status, key string) *api.Blocker {
	if s == nil {
		return nil
	}
	for i := range s.Blockers {
		if s.Blockers[i].Pod == key {
			return &s.Blockers[i]
		}
	}
	return nil
}
