package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// volumeRules are what the chart grants with drain.waitForVolumeDetach
// (TestWaitForVolumeDetach in test/chart) in addition to deploy's roles.
var volumeRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"volumeattachments"}, Verbs: []string{"list"}},
	{APIGroups: []string{""}, Resources: []string{"persistentvolumes"}, Verbs: []string{"get"}},
}

// volume makes a PersistentVolume and the claim that it is bound to.
func (e *env) volume(name string) {
	e.Helper()
	size, none := resource.MustParse("1Gi"), ""
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: e.namespace + "-" + name}}
	volume.Spec = corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: size}, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		ClaimRef: &corev1.ObjectReference{Namespace: e.namespace, Name: name},
	}
	volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: volume.Name}
	if _, err := shared.Client.CoreV1().PersistentVolumes().Create(e.Context(), volume, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: modes, VolumeName: volume.Name, StorageClassName: &none,
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
	}}
	if _, err := shared.Client.CoreV1().PersistentVolumeClaims(e.namespace).Create(e.Context(), claim, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
}

// attach attaches the volume to a node, as the attach/detach controller does that
// looks after the nodes of real kubelets.
func (e *env) attach(node, name string) {
	e.Helper()
	volume := e.namespace + "-" + name
	a := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "csi-" + volume}, Spec: storagev1.VolumeAttachmentSpec{
		Attacher: "disk.example.com", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
	}}
	if _, err := shared.Client.StorageV1().VolumeAttachments().Create(e.Context(), a, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
}

// detach detaches it.
func (e *env) detach(name string) {
	e.Helper()
	if err := shared.Client.StorageV1().VolumeAttachments().Delete(e.Context(), "csi-"+e.namespace+"-"+name, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
}

// mounting lets the pods of a workload use a claim.
func mounting(s workload.Spec, claim string) workload.Spec {
	s.Pod = func(p *corev1.PodTemplateSpec) {
		source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: source}}}
	}
	return s
}

// TestVolumes: a node is drained once the volume of its pod is detached, also if
// drainer was killed since, and says what it waits for. The volume of a pod that stays
// may stay attached.
func TestVolumes(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.grant("drainer-volumes", "drainer", volumeRules...)
	e.volume("data")
	e.volume("logs")
	e.create(workload.Deployment(mounting(on(e.spec("db", 1), node), "data")), workload.DaemonSet(mounting(on(e.spec("logs", 1), node), "logs")))
	e.awaitReady("db", 1)
	e.awaitReady("logs", 1)
	e.attach(node, "data")
	e.attach(node, "logs")
	config := "--config=" + e.configuration("waitForVolumeDetach: true\n")
	first := e.start(config)
	e.request(node, "r")
	awaitState(t, "the node says what it waits for", func() bool {
		s := e.status(node)
		return s.Volumes != nil && s.Volumes.Attached == 1 && s.Reason == string(plan.Volume) &&
			strings.Contains(e.message(node), e.namespace+"-data of PersistentVolumeClaim "+e.namespace+"/data")
	})
	since := e.status(node).Volumes.Since
	if left := e.stillOn(node, "db"); len(left) > 0 {
		t.Errorf("the node waits for volumes with the pods %v", left)
	}
	first.crash()
	second := e.start(config)
	awaitState(t, "another process waits, too", func() bool { return second.metric("drainer_node_attached_volumes", "node", node) == 1 })
	listed := func(a *cluster.AuditEvent) bool {
		return a.ObjectRef.Resource == "volumeattachments" && a.Verb == "list"
	}
	before := len(e.audit(listed))
	poll(t, "it looks again", func() bool { return len(e.audit(listed)) > before })
	if is := e.node(node).Annotations[api.DrainedAnnotation]; is != "" || !e.status(node).Volumes.Since.Equal(since) {
		t.Errorf("drained is %q, and the node waits since %v, want %v", is, e.status(node).Volumes.Since, since)
	}
	e.detach("data")
	e.awaitDrained(node, "r")
	if e.status(node).Volumes != nil || len(e.podsOn(node, "logs")) != 1 {
		t.Errorf("the drained node says %+v", e.status(node))
	}
	// deploy's roles do not grant what these requests need: the rules are used.
	read := func(a *cluster.AuditEvent) bool {
		return a.ObjectRef.Resource == "persistentvolumes" && a.Verb == "get"
	}
	poll(t, "the volumes are read", func() bool { return len(e.audit(read)) > 0 })
}

// TestVolumesForbidden: without the permission to look at volumes, the node says so,
// and is not drained.
func TestVolumesForbidden(t *testing.T) {
	e := setup(t, 2)
	e.mayBeForbidden = true
	node := e.nodes[0]
	e.start("--config=" + e.configuration("waitForVolumeDetach: true\n"))
	e.request(node, "r")
	awaitState(t, "the node says that nobody knows", func() bool {
		return e.status(node).Phase == api.Blocked && strings.Contains(e.message(node), "allow drainer to list volumeattachments and to get persistentvolumes")
	})
	if is := e.node(node).Annotations[api.DrainedAnnotation]; is != "" {
		t.Errorf("the node is drained for %q", is)
	}
	e.grant("drainer-volumes", "drainer", volumeRules...)
	e.awaitDrained(node, "r")
}

// TestVolumesUnasked: without waitForVolumeDetach nobody looks at volumes.
func TestVolumesUnasked(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.volume("data")
	e.attach(node, "data")
	e.start()
	e.request(node, "r")
	e.awaitDrained(node, "r")
}
