package plan

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/api"
)

func applied(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Subresource: subresource,
		FieldsV1: metav1.NewFieldsV1(fields),
	}
}

func TestNodeOf(t *testing.T) {
	since := metav1.NewTime(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	const cordon = `{"f:spec":{"f:unschedulable":{}}}`
	for name, test := range map[string]struct {
		node corev1.Node
		want Node
	}{
		"plain":         {corev1.Node{}, Node{}},
		"being deleted": {corev1.Node{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: since, DeletionTimestamp: &since}}, Node{Created: since.Time, Deleting: true}},
		"ready since": {
			corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: since}}}},
			Node{Ready: true, ReadySince: since.Time},
		},
		"removed by Karpenter": {
			corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "karpenter.sh/disrupted", Effect: corev1.TaintEffectNoSchedule}}}},
			Node{Repelling: true, RemovalTaint: "karpenter.sh/disrupted", Taints: []corev1.Taint{{Key: "karpenter.sh/disrupted", Effect: corev1.TaintEffectNoSchedule}}},
		},
		"ready":         {corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}, Node{Ready: true}},
		"state unknown": {corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}}}, Node{Unreachable: true}},
		"cordoned by us": {
			corev1.Node{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{applied(api.CordonFieldManager, "", cordon)}}, Spec: corev1.NodeSpec{Unschedulable: true}},
			Node{Unschedulable: true, OwnCordon: true},
		},
		"cordoned by somebody else": {
			corev1.Node{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{applied("kubectl", "", cordon)}}, Spec: corev1.NodeSpec{Unschedulable: true}},
			Node{Unschedulable: true},
		},
		"our name on another field": {
			corev1.Node{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{applied(api.CordonFieldManager, "", `{"f:spec":{"f:taints":{}}}`)}}},
			Node{},
		},
		"our status": {
			corev1.Node{
				ObjectMeta: metav1.ObjectMeta{
					Annotations:   map[string]string{api.DrainAnnotation: "r", "example.com/x": "y"},
					ManagedFields: []metav1.ManagedFieldsEntry{applied(api.StatusFieldManager, "status", `{"f:status":{}}`)},
				},
				Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeDrained, Status: corev1.ConditionTrue, LastTransitionTime: since}}},
			},
			Node{
				OwnStatus: true, Annotations: map[string]string{api.DrainAnnotation: "r"},
				Drained: Condition{Status: corev1.ConditionTrue, Transition: since.Time},
			},
		},
		"our status, released": {
			corev1.Node{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{applied(api.StatusFieldManager, "status", `{}`)}}},
			Node{},
		},
		"taints": {
			corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{
				{Key: api.QueuedTaint, Effect: corev1.TaintEffectPreferNoSchedule},
				{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule},
				{Key: "soft", Effect: corev1.TaintEffectPreferNoSchedule},
			}}}, Node{QueuedTaint: true},
		},
		"our taint with another effect": {
			corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: api.QueuedTaint, Effect: corev1.TaintEffectNoSchedule}}}},
			Node{Repelling: true, Taints: []corev1.Taint{{Key: api.QueuedTaint, Effect: corev1.TaintEffectNoSchedule}}},
		},
		"repelling": {corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}}}, Node{Repelling: true, Taints: []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.Served = true
			if got := NodeOf(&test.node); !reflect.DeepEqual(*got, test.want) {
				t.Errorf("got %+v, want %+v", *got, test.want)
			}
		})
	}
}

func TestPodOf(t *testing.T) {
	yes, seconds := true, int64(30)
	deadline := metav1.NewTime(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	ownGrace, created := int64(7), metav1.NewTime(deadline.Add(-time.Hour))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "x", UID: "u", Labels: map[string]string{"app": "web"}, Finalizers: []string{"a/b", "c/d"},
			Annotations: map[string]string{
				corev1.MirrorPodAnnotationKey: "x", "drainer.dev/drain-order": "1", "drainer.dev/drain": "Ignore", "other": "y",
			},
			OwnerReferences: []metav1.OwnerReference{
				{Kind: "Owner", Name: "no controller"},
				{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "d", Controller: &yes},
			},
			DeletionTimestamp: &deadline, DeletionGracePeriodSeconds: &seconds, CreationTimestamp: created,
		},
		Spec: corev1.PodSpec{NodeName: "n", TerminationGracePeriodSeconds: &ownGrace, Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}},
		},
	}
	want := Pod{
		Namespace: "ns", Name: "x", UID: "u", Node: "n", Labels: "app=web", Phase: corev1.PodRunning, Ready: true,
		Deadline: deadline.Time, Grace: 30 * time.Second, Finalizers: "a/b, c/d", Stopped: true, Static: true, EmptyDir: true, OwnGrace: 7 * time.Second,
		Controller:   Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "d"},
		Instructions: []string{"drainer.dev/drain", "drainer.dev/drain-order"}, Created: created.Unix(),
	}
	got := PodOf(pod)
	pod.Spec.TerminationGracePeriodSeconds = nil
	if d := PodOf(pod).OwnGrace; d != 30*time.Second {
		t.Errorf("a pod that asks for none has %v", d)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v\nwant %+v", *got, want)
	}
	if !got.OfDaemonSet() {
		t.Error("not taken for a pod of a DaemonSet")
	}
	pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{})
	if PodOf(pod).Stopped {
		t.Error("stopped with a container that runs")
	}
	pod.Status.ContainerStatuses = nil
	if PodOf(pod).Stopped {
		t.Error("stopped although nothing is known of its containers")
	}
}

func TestBudgetOf(t *testing.T) {
	always := policyv1.AlwaysAllow
	number := func(text string) *intstr.IntOrString {
		v := intstr.Parse(text)
		return &v
	}
	for name, test := range map[string]struct {
		spec   policyv1.PodDisruptionBudgetSpec
		status policyv1.PodDisruptionBudgetStatus
		check  func(*Budget) bool
	}{
		"no selector matches nothing": {check: func(b *Budget) bool { return !b.Selector.Matches(Pod{}.Labels) }},
		"empty selector matches all":  {spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{}}, check: func(b *Budget) bool { return b.Selector.Matches(Pod{}.Labels) }},
		"maxUnavailable 0":            {spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: number("0")}, check: func(b *Budget) bool { return b.ZeroBySpec }},
		"maxUnavailable 0%":           {spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: number("0%")}, check: func(b *Budget) bool { return b.ZeroBySpec }},
		"maxUnavailable 1":            {spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: number("1")}, check: func(b *Budget) bool { return !b.ZeroBySpec }},
		"minAvailable 100%":           {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: number("100%")}, check: func(b *Budget) bool { return b.ZeroBySpec }},
		"minAvailable 1":              {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: number("1")}, check: func(b *Budget) bool { return !b.ZeroBySpec }},
		"minAvailable 100":            {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: number("100")}, check: func(b *Budget) bool { return !b.ZeroBySpec }},
		"always allow":                {spec: policyv1.PodDisruptionBudgetSpec{UnhealthyPodEvictionPolicy: &always}, check: func(b *Budget) bool { return b.AlwaysAllow }},
		"not observed":                {check: func(b *Budget) bool { return !b.Observed }},
		"observed":                    {status: policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 3}, check: func(b *Budget) bool { return b.Observed }},
		"sync failed": {
			status: policyv1.PodDisruptionBudgetStatus{Conditions: []metav1.Condition{{
				Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason, Message: "no scale",
			}}}, check: func(b *Budget) bool { return b.SyncFailed == "no scale" },
		},
		"disrupted": {
			status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 2, DisruptedPods: map[string]metav1.Time{"x": {}}},
			check:  func(b *Budget) bool { return b.Allowed == 2 && b.Disrupted["x"] },
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := BudgetOf(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Spec: test.spec, Status: test.status})
			if err != nil || !test.check(b) {
				t.Errorf("got %+v, %v", b, err)
			}
		})
	}
	bad := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Nonsense"}}},
	}}
	if _, err := BudgetOf(bad); err == nil {
		t.Error("a selector that cannot be read is read")
	}
}

// TestOwnTaint: the taint of a queued node is known by its key and its effect.
func TestOwnTaint(t *testing.T) {
	for taint, want := range map[corev1.Taint]bool{
		{Key: api.QueuedTaint, Effect: corev1.TaintEffectPreferNoSchedule}: true,
		{Key: api.QueuedTaint, Effect: corev1.TaintEffectNoSchedule}:       false,
		{Key: "other", Effect: corev1.TaintEffectPreferNoSchedule}:         false,
	} {
		if got := OwnTaint(taint); got != want {
			t.Errorf("%s is drainer's own: %v, want %v", taint.ToString(), got, want)
		}
	}
}
