package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// stage is where all runs take place.
type stage struct {
	*daemon.Stage
	dir string
	// runs numbers the runs, each of which has a namespace of its own, and
	// started the processes of drainer.
	runs, started int
	// profiles is the folder for profiles; none are taken if it is empty.
	profiles string
}

// play lets all contenders run, one after the other, at most this often.
func (s *stage) play(ctx context.Context, sc Scenario, o settings) ([]Result, error) {
	var nodes []string
	for i := range sc.Nodes {
		nodes = append(nodes, fmt.Sprintf("%s-%02d", sc.Name, i))
		if err := workload.Create(ctx, s.Client, workload.Node(nodes[i], map[string]string{"scenario": sc.Name})); err != nil {
			return nil, err
		}
	}
	var results []Result
	for round := range o.runs {
		for _, turn := range sc.Turns {
			if round >= turn.Rounds || !o.peers && turn.Contender != ours || !o.slow && turn.Slow {
				continue
			}
			r, err := s.runOne(ctx, sc, nodes, turn.Contender)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", turn.Contender, err)
			}
			r.Round = round + 1
			fmt.Fprintf(os.Stderr, "%s, round %d, %s: %.1fs\n", sc.Name, r.Round, turn.Contender, r.Makespan)
			if r.Forecast != nil {
				fmt.Fprintln(os.Stderr, r.Forecast.line(&r))
			}
			results = append(results, r)
		}
	}
	for _, node := range nodes {
		if err := s.Client.CoreV1().Nodes().Delete(ctx, node, metav1.DeleteOptions{}); err != nil {
			return nil, fmt.Errorf("deleting node %s: %w", node, err)
		}
	}
	return results, nil
}

// runOne sets the scene, lets one contender drain it, and clears it away.
func (s *stage) runOne(ctx context.Context, sc Scenario, nodes []string, contender string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	s.runs++
	r := &run1{stage: s, Scenario: sc, nodes: nodes, drained: nodes[:sc.Drained], namespace: fmt.Sprintf("bench-%03d", s.runs)}
	if err := r.set(ctx); err != nil {
		return Result{}, fmt.Errorf("setting the scene: %w", err)
	}
	result, err := r.measure(ctx, contender)
	return result, errors.Join(err, r.clear(ctx))
}

// run1 is one run of one contender.
type run1 struct {
	*stage
	Scenario
	nodes, drained []string
	namespace      string
	// user is who the contender is to the API server.
	user string
}

func (r *run1) set(ctx context.Context) error {
	if err := workload.Create(ctx, r.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}); err != nil {
		return err
	}
	if err := daemon.InstallAccount(ctx, r.Client, r.namespace); err != nil {
		return err
	}
	if err := r.account(ctx, "peer"); err != nil {
		return err
	}
	// Pods start on the nodes that are drained if they fit there.
	pool := map[string]string{"scenario": r.Name}
	if r.Gathered {
		if err := r.cordon(ctx, r.nodes[r.Drained:], true); err != nil {
			return err
		}
	}
	for i := range r.Apps {
		name := fmt.Sprintf("app-%02d", i)
		objects := []runtime.Object{workload.Deployment(workload.Spec{
			Namespace: r.namespace, Name: name, Replicas: r.Replicas, Start: r.Start, Stop: r.Stop, NodeSelector: pool,
		})}
		if r.guarded(i) {
			objects = append(objects, workload.MaxUnavailable(r.namespace, name, name, r.MaxUnavailable))
		}
		if err := workload.Create(ctx, r.Client, objects...); err != nil {
			return err
		}
	}
	err := patience.Until(ctx, "every pod is ready and every budget says so", await.Holds(func() (bool, error) { return r.calm(ctx) }))
	if err != nil {
		return err
	}
	if r.Gathered {
		return r.cordon(ctx, r.nodes[r.Drained:], false)
	}
	return nil
}

// account makes a ServiceAccount that may do everything, for a peer.
func (r *run1) account(ctx context.Context, name string) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name}}
	if _, err := r.Client.CoreV1().ServiceAccounts(r.namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the peer's account: %w", err)
	}
	_, err := r.Client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "peer-" + r.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: r.namespace, Name: name}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("binding the peer's account: %w", err)
	}
	return nil
}

// calm is true when every pod is ready and every budget says so.
func (r *run1) calm(ctx context.Context) (bool, error) {
	sets, err := r.Client.AppsV1().Deployments(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("listing the apps: %w", err)
	}
	for _, d := range sets.Items {
		if d.Status.ReadyReplicas != *d.Spec.Replicas || d.Status.Replicas != *d.Spec.Replicas {
			return false, nil
		}
	}
	budgets, err := r.Client.PolicyV1().PodDisruptionBudgets(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("listing the budgets: %w", err)
	}
	for _, b := range budgets.Items {
		if b.Status.CurrentHealthy != b.Status.ExpectedPods || b.Status.ExpectedPods != int32(r.Replicas) || len(b.Status.DisruptedPods) > 0 {
			return false, nil
		}
	}
	return len(sets.Items) == r.Apps, nil
}

// clear takes everything away and waits until it is gone.
func (r *run1) clear(ctx context.Context) error {
	foreground, now := metav1.DeletePropagationBackground, int64(0)
	if err := r.Client.CoreV1().Namespaces().Delete(ctx, r.namespace, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		return fmt.Errorf("deleting the namespace: %w", err)
	}
	_ = r.Client.CoreV1().Pods(r.namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	if err := r.cordon(ctx, r.drained, false); err != nil {
		return err
	}
	return patience.Until(ctx, "the pods are gone", await.Holds(func() (bool, error) {
		pods, err := r.Client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil && len(pods.Items) == 0, err
	}))
}

func (r *run1) cordon(ctx context.Context, nodes []string, yes bool) error {
	for _, node := range nodes {
		patch := fmt.Sprintf(`{"spec":{"unschedulable":%v},"metadata":{"annotations":{"drainer.dev/drain":null,"drainer.dev/status":null,"drainer.dev/drained":null}}}`, yes)
		if _, err := r.Client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("setting up node %s: %w", node, err)
		}
	}
	return nil
}

func budgetsOf(list []policyv1.PodDisruptionBudget) map[string]int {
	allowed := map[string]int{}
	for _, b := range list {
		allowed[b.Name] = int(b.Status.DisruptionsAllowed)
	}
	return allowed
}
