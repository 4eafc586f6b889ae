package drain_test

import (
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
	"drainer.dev/drainer/test/invariant"
)

// Annotations of a VolumeAttachment of random stories: whose volume it is, and since
// when nobody uses it.
const (
	claimNamespace, claimName = "claim-namespace", "claim-name"
	unusedSince               = "unused-since"
)

// attachVolumes gives a third of all pods a volume, attaches it once a pod is on a
// node, and detaches it a while after the pod is gone, until the story ends.
func (r *randomRun) attachVolumes() {
	for r.ctx.Err() == nil {
		r.cluster(func(c *sim.Cluster) {
			for _, o := range c.List(sim.Pods) {
				if pod := o.(*corev1.Pod); pod.Spec.NodeName != "" && len(pod.Spec.Volumes) == 0 && drawn(pod.Name, 3) == 0 {
					provide(c, pod)
				}
			}
			for _, o := range c.List(apiserver.VolumeAttachments) {
				detachUnused(c, o.(*storagev1.VolumeAttachment))
			}
		})
		r.wait(time.Second)
	}
}

// drawn is a number from 0 to below n that follows from the text.
func drawn(text string, n uint32) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return h.Sum32() % n
}

// provide gives a pod a volume that is attached to its node.
func provide(c *sim.Cluster, pod *corev1.Pod) {
	name := pod.Namespace + "-" + pod.Name
	c.UpdatePod(sim.Key{Namespace: pod.Namespace, Name: pod.Name}, func(p *corev1.Pod) {
		source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: pod.Name}
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: source}}}
	})
	c.Put(apiserver.PersistentVolumes, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: pod.Namespace, Name: pod.Name}},
	})
	c.Put(apiserver.VolumeAttachments, &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + pod.Spec.NodeName, Annotations: map[string]string{claimNamespace: pod.Namespace, claimName: pod.Name}},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: "disk.example.com", NodeName: pod.Spec.NodeName, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name},
		},
	})
}

// detachUnused detaches a volume once its pod has been gone for up to a minute.
func detachUnused(c *sim.Cluster, a *storagev1.VolumeAttachment) {
	pod := c.Pod(sim.Key{Namespace: a.Annotations[claimNamespace], Name: a.Annotations[claimName]})
	if pod != nil && pod.Spec.NodeName == a.Spec.NodeName {
		return
	}
	since, err := time.Parse(time.RFC3339, a.Annotations[unusedSince])
	if err != nil {
		unused := a.DeepCopy()
		unused.Annotations[unusedSince] = c.Now().UTC().Format(time.RFC3339)
		c.Put(apiserver.VolumeAttachments, unused)
		return
	}
	if c.Now().Sub(since) >= time.Duration(drawn(a.Name, 60))*time.Second {
		c.Delete(apiserver.VolumeAttachments, sim.Key{Name: a.Name})
	}
}

// volumeChanged tells the checker.
func (r *randomRun) volumeChanged(a *storagev1.VolumeAttachment, deleted bool) {
	if deleted {
		r.checker.Detached(a.Name)
		return
	}
	r.checker.Attached(time.Now(), invariant.Attachment{
		Name: a.Name, Node: a.Spec.NodeName, Namespace: a.Annotations[claimNamespace], Claim: a.Annotations[claimName],
	})
}

// readsVolumes is true for what drainer asks about volumes.
func readsVolumes(q apiserver.Request) bool {
	return listsAttachments(q) || q.Resource == apiserver.PersistentVolumes && q.Verb == "get"
}
