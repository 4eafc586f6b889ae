package watcher

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// typical is a pod as clusters have them: three containers with probes and 25
// variables each, volumes and their status, 15 KB of JSON and more.
func typical(i int) *corev1.Pod {
	yes, seconds := true, int64(300)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team-a", Name: fmt.Sprintf("web-6d4b75cb6d-%05d", i), UID: types.UID(fmt.Sprintf("%08d-0000-0000-0000-000000000000", i)),
			Labels:          map[string]string{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web", "pod-template-hash": "6d4b75cb6d", "team": "a"},
			Annotations:     map[string]string{"checksum/config": fmt.Sprintf("%064d", i), "prometheus.io/scrape": "true"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-6d4b75cb6d", UID: "5d6d4f2e-5f0c-4a9e-9a51-0c2d8a3c1b6f", Controller: &yes}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(fmt.Sprintf("%03000d", i))}},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1",
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
			},
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for c := range 3 {
		container := corev1.Container{Name: fmt.Sprintf("container-%d", c), Image: fmt.Sprintf("example.com/team/project/container-%d:v1.2.%d", c, i), LivenessProbe: &corev1.Probe{}}
		for e := range 25 {
			container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_NUMBER_%d", e), Value: fmt.Sprintf("value-of-setting-%d-of-pod-%d", e, i)})
		}
		p.Spec.Containers = append(p.Spec.Containers, container)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: container.Name, Image: container.Image, ContainerID: fmt.Sprintf("containerd://%064d", i)})
	}
	return p
}

// TestPodMemory: a watched pod takes at most 1 KB, whatever its size. It
// takes 1.2 KB if pods do not share texts.
func TestPodMemory(t *testing.T) {
	const pods, most = 1000, 1000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	p := &nodePods{pods: map[types.UID]*plan.Pod{}}
	var shared texts
	to := sink[*corev1.Pod, *plan.Pod]{
		convert: func(pod *corev1.Pod) *plan.Pod { return shared.pod(plan.PodOf(pod)) },
		put:     func(pod *plan.Pod) { p.set(pod) },
	}
	before := heap()
	for i := range pods {
		// As received from the API server: it shares nothing with other pods.
		wire, err := typical(i).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var pod corev1.Pod
		if err := pod.Unmarshal(wire); err != nil {
			t.Fatal(err)
		}
		if err := to.Add(&pod); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := p.sorted()
	m := plan.NewMemory()
	m.Nodes["u"] = plan.NodeMemory{Request: "r"}
	entries, _ := m.Observe(plan.Observed{
		Now: time.Unix(0, 0), Nodes: []*plan.Node{{Name: "n1", UID: "u", Served: true}}, Pods: map[string][]*plan.Pod{"n1": list},
	})
	each := (heap() - before) / pods
	if each > most {
		t.Errorf("a watched pod takes %d bytes, want at most %d", each, most)
	}
	t.Logf("a watched pod takes %d bytes", each)
	runtime.KeepAlive(entries)
	runtime.KeepAlive(p)
}

// TestTextsAreBounded: texts of a single pod do not accumulate, and those in
// use are shared again.
func TestTextsAreBounded(t *testing.T) {
	var shared texts
	for i := range 3 * mostTexts {
		shared.pod(&plan.Pod{Namespace: "team-a", Node: fmt.Sprint("n", i)})
		if len(shared.known) > mostTexts {
			t.Fatalf("%d texts are kept, want %d at most", len(shared.known), mostTexts)
		}
	}
	if shared.known["team-a"] == "" {
		t.Error("a text in use is not known")
	}
}
