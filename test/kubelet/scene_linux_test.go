package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// scene is a test's namespace with workloads on the machine.
type scene struct {
	*testing.T
	namespace string
	process   *daemon.Process
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, namespace: strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(t.Name(), "/", "-"), "Test"))}
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	t.Cleanup(s.remove)
	if err := daemon.InstallAccount(suite.Context(t), shared.Client, s.namespace); err != nil {
		t.Fatal(err)
	}
	s.await("the kubelet's node is Ready", func() error {
		node, err := shared.Client.CoreV1().Nodes().Get(suite.Context(t), shared.machine.node, metav1.GetOptions{})
		if err != nil {
			return await.NotYet("%v", err)
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
				return nil
			}
		}
		return await.NotYet("its taints are %v", node.Spec.Taints)
	})
	return s
}

// remove removes everything of the scene, so that the next one has the machine to
// itself.
func (s *scene) remove() {
	ctx := suite.Closing(s)
	if s.process != nil {
		s.process.Kill()
	}
	if err := shared.Client.CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{}); err != nil {
		s.Error(err)
	}
	patience := await.Waiter{Progress: suite.Progress(s)}
	err := patience.Until(ctx, "the namespace is gone", func() error {
		if err := s.letGo(ctx); err != nil {
			return err
		}
		_, err := shared.Client.CoreV1().Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		default:
			return await.NotYet("it is not")
		}
	})
	if err != nil {
		s.Error(err)
	}
	if s.process == nil {
		return
	}
	if err := shared.Client.CoreV1().Nodes().Delete(ctx, s.spare(), metav1.DeleteOptions{}); err != nil {
		s.Error(err)
	}
}

// spare is the node that kwok plays.
func (s *scene) spare() string { return "spare-" + s.namespace }

func (s *scene) create(objects ...runtime.Object) {
	s.Helper()
	if err := workload.Create(suite.Context(s), shared.Client, objects...); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) await(what string, condition func() error) {
	s.Helper()
	suite.Await(s, nil, what, condition)
}

// template is a pod whose container runs the command, with so many seconds to end.
func (s *scene) template(app string, grace int64, command ...string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{workload.AppLabel: app}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "main", Image: containerImage, ImagePullPolicy: corev1.PullNever, Args: command}},
		},
	}
}

func (s *scene) meta(app string) (metav1.ObjectMeta, *metav1.LabelSelector) {
	labels := map[string]string{workload.AppLabel: app}
	return metav1.ObjectMeta{Namespace: s.namespace, Name: app, Labels: labels}, &metav1.LabelSelector{MatchLabels: labels}
}

func (s *scene) deployment(app string, replicas int32, t corev1.PodTemplateSpec) *appsv1.Deployment {
	meta, selector := s.meta(app)
	return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: t}}
}

// static gives the kubelet a pod that no API server has asked for.
func (s *scene) static(name string) {
	s.Helper()
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":%q},"spec":{"containers":[{"name":"main","image":%q,"imagePullPolicy":"Never"}]}}`,
		name, s.namespace, containerImage)
	path := filepath.Join(shared.machine.manifests, name+".json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.Remove(path) })
}

// awaitRunning waits until so many pods of the namespace run on the machine, as
// containerd knows.
func (s *scene) awaitRunning(n int) {
	s.Helper()
	s.await(fmt.Sprintf("%d pods run", n), func() error {
		if pods := s.running(); len(pods) != n {
			return await.NotYet("these do: %v", pods)
		}
		return nil
	})
}

// running are the pods of the namespace that have running containers, sorted.
func (s *scene) running() []string {
	s.Helper()
	pods, err := shared.machine.running(suite.Context(s))
	if err != nil {
		s.Fatal(err)
	}
	var ours []string
	for pod := range pods {
		if name, is := strings.CutPrefix(pod, s.namespace+"/"); is {
			ours = append(ours, name)
		}
	}
	slices.Sort(ours)
	return ours
}

// drain starts drainer, and requests the drain of the machine; pods move to a node
// that kwok plays.
func (s *scene) drain() {
	s.Helper()
	s.create(workload.Node(s.spare(), nil))
	account := types.NamespacedName{Namespace: s.namespace, Name: "drainer"}
	p, err := shared.Run(suite.Context(s), account, "drainer-"+s.namespace, nil, "--bare-pods=Evict", "--max-unavailable=100%", "--settle=1s", "--v=2")
	if err != nil {
		s.Fatal(err)
	}
	s.process = p
	s.annotate(fmt.Sprintf(`{%q:%q}`, api.DrainAnnotation, s.namespace))
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("see the log of drainer, %s, and those in %s", p.Log, shared.machine.dir)
		}
	})
}

func (s *scene) annotate(annotations string) {
	s.Helper()
	_, err := shared.Client.CoreV1().Nodes().Patch(suite.Context(s), shared.machine.node, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":`+annotations+`}}`), metav1.PatchOptions{})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) status() api.Status {
	s.Helper()
	node, err := shared.Client.CoreV1().Nodes().Get(suite.Context(s), shared.machine.node, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	status, err := api.ParseStatus(node.Annotations[api.StatusAnnotation])
	if err != nil && node.Annotations[api.StatusAnnotation] != "" {
		s.Fatal(err)
	}
	return status
}

// awaitBlocker waits until the status names a pod whose name begins so with the
// reason.
func (s *scene) awaitBlocker(pod, reason string) {
	s.Helper()
	s.await("the status says of "+pod+" "+reason, func() error {
		status := s.status()
		for _, b := range status.Blockers {
			if strings.HasPrefix(b.Pod, s.namespace+"/"+pod) && b.Reason == reason {
				return nil
			}
		}
		return await.NotYet("it says %+v", status.Blockers)
	})
}

// awaitDrained waits until the Node is Drained, and then finds that nothing runs
// there but what stays. Afterwards the node is released.
func (s *scene) awaitDrained(stays ...string) {
	s.Helper()
	s.await("the node is Drained", func() error {
		if status := s.status(); status.Phase != api.Drained {
			return await.NotYet("it is %s: %+v", status.Phase, status.Blockers)
		}
		return nil
	})
	if got := s.running(); len(got) != len(stays) || !slices.EqualFunc(got, stays, strings.HasPrefix) {
		s.Errorf("when the node is Drained these run: %v, want %v", got, stays)
	}
	s.annotate(fmt.Sprintf(`{%q:null}`, api.DrainAnnotation))
	s.await("the node is uncordoned", func() error {
		node, err := shared.Client.CoreV1().Nodes().Get(suite.Context(s), shared.machine.node, metav1.GetOptions{})
		if err == nil && (node.Spec.Unschedulable || node.Annotations[api.StatusAnnotation] != "") {
			err = await.NotYet("it is not")
		}
		return err
	})
}

// letGo removes the finalizers of pods that are being deleted.
func (s *scene) letGo(ctx context.Context) error {
	client := shared.Client.CoreV1().Pods(s.namespace)
	pods, err := client.List(ctx, metav1.ListOptions{LabelSelector: workload.AppLabel + "=held"})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil {
			continue
		}
		_, err := client.Patch(ctx, pods.Items[i].Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
