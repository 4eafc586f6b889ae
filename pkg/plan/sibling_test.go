package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestSiblings: who the pods of a controller are, and by which labels they are found.
func TestSiblings(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "a", OwnerReferences: []metav1.OwnerReference{{UID: "rs", Controller: new(true)}}}}
	pod.CreationTimestamp = metav1.NewTime(noon)
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if s, is := SiblingOf(pod, "rs"); !is || s != (Sibling{UID: "a", Created: noon.Unix(), Ready: true}) {
		t.Errorf("the pod is %+v, %v", s, is)
	}
	if _, is := SiblingOf(pod, "other"); is {
		t.Error("a pod of another controller counts")
	}
	pod.DeletionTimestamp, pod.Status.Conditions[0].Status = &pod.CreationTimestamp, corev1.ConditionFalse
	if s, is := SiblingOf(pod, "rs"); !is || s != (Sibling{UID: "a", Created: noon.Unix(), Leaving: true}) {
		t.Errorf("the leaving pod is %+v, %v", s, is)
	}
	pod.Status.Phase = corev1.PodFailed
	if _, is := SiblingOf(pod, "rs"); is {
		t.Error("a pod that has failed counts")
	}
	for labels, want := range map[Labels]string{
		"": "", "app=web,pod-template-hash=6d": "app=web,pod-template-hash=6d",
		"app=db,apps.kubernetes.io/pod-index=0,controller-revision-hash=db-1,statefulset.kubernetes.io/pod-name=db-0": "app=db",
		"statefulset.kubernetes.io/pod-name=db-0": "",
	} {
		if got := commonLabels(labels); got != want {
			t.Errorf("of %q the common labels are %q, want %q", labels, got, want)
		}
	}
}

// TestReadInterval: the pods of a controller are listed the less often the longer that
// has taken, and the more controllers there are.
func TestReadInterval(t *testing.T) {
	for waited, want := range map[time.Duration]time.Duration{
		4 * time.Second:  paceRead + 2*perPaced,
		40 * time.Second: 10*time.Second + 2*perPaced,
	} {
		p := &planner{Snapshot: &Snapshot{Began: noon, Now: noon.Add(waited)}, paces: map[types.UID]*pace{"a": {}, "b": {}}}
		if got := p.readInterval(p.paces["a"]); got != want {
			t.Errorf("after %v: %v, want %v", waited, got, want)
		}
	}
}
