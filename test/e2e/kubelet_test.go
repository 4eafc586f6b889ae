package e2e

import (
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/cluster/workload"
)

// byHand makes a workload whose pods are bound and then left to the test, which
// plays the kubelet (see run): kwok starts them in an hour.
func byHand(s workload.Spec) workload.Spec {
	s.Start = time.Hour
	return s
}

// held makes a workload whose pods stay when they are deleted, until
// removeFinalizers: kwok leaves pods with finalizers alone.
func held(s workload.Spec) workload.Spec {
	s.Pod = func(t *corev1.PodTemplateSpec) { t.Finalizers = []string{"example.com/hold"} }
	return s
}

func (e *env) removeFinalizers(pod string) {
	e.Helper()
	_, err := shared.Client.CoreV1().Pods(e.namespace).Patch(e.Context(), pod, types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil {
		e.Fatal(err)
	}
}

// awaitBound waits until kwok has done all that it does to the n pods of a
// workload made byHand.
func (e *env) awaitBound(app string, n int) []*corev1.Pod {
	e.Helper()
	var bound []*corev1.Pod
	awaitState(e.T, "the pods of "+app+" are bound", func() bool {
		bound = slices.DeleteFunc(e.pods(app), func(p *corev1.Pod) bool { return p.Status.PodIP == "" })
		return len(bound) == n
	})
	return bound
}

// run plays the kubelet: the pod runs, and is ready or not.
func (e *env) run(pod *corev1.Pod, ready corev1.ConditionStatus) {
	e.Helper()
	e.patchPodStatus(pod, map[string]any{"phase": "Running", "conditions": []map[string]any{{"type": "Ready", "status": ready}}})
}

func (e *env) patchPodStatus(pod *corev1.Pod, status any) {
	e.Helper()
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		e.Fatal(err)
	}
	if _, err := shared.Client.CoreV1().Pods(pod.Namespace).Patch(e.Context(), pod.Name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{}, "status"); err != nil {
		e.Fatal(err)
	}
}

// static makes a pod look like the mirror of a static pod, as a kubelet does.
func static(p *corev1.Pod) *corev1.Pod {
	p.Annotations[corev1.MirrorPodAnnotationKey] = "static"
	return p
}
