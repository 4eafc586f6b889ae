package drain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// attach attaches the volume of a claim of the namespace shop to a node.
func (s *story) attach(node, claim string) {
	s.cluster(func(c *sim.Cluster) {
		volume := "pv-" + claim
		c.Put(apiserver.PersistentVolumes, &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: volume},
			Spec:       corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "shop", Name: claim}},
		})
		c.Put(apiserver.VolumeAttachments, &storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: "csi-" + claim},
			Spec: storagev1.VolumeAttachmentSpec{
				Attacher: "disk.example.com", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
			},
		})
	})
}

// detach detaches the volume of a claim.
func (s *story) detach(claim string) {
	s.cluster(func(c *sim.Cluster) { c.Delete(apiserver.VolumeAttachments, sim.Key{Name: "csi-" + claim}) })
}

// mount gives the pods of a Deployment on a node the volume of a claim.
func (s *story) mount(node, app, claim string) {
	s.cluster(func(c *sim.Cluster) {
		for _, o := range c.PodsOn(node) {
			if strings.HasPrefix(o.GetName(), app+"-") {
				c.UpdatePod(sim.Key{Namespace: o.GetNamespace(), Name: o.GetName()}, func(pod *corev1.Pod) {
					source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}
					pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: source}}}
				})
			}
		}
	})
}

// waitsForVolumes lets replicas that start from now on wait for volumes.
func (s *story) waitsForVolumes(change ...func(*plan.Config)) {
	s.flags.change = func(c *plan.Config) {
		c.WaitForVolumeDetach = true
		for _, f := range change {
			f(c)
		}
	}
}

// attached is how many volumes a node says that it waits for.
func (s *story) attached(node string) int {
	if v := s.status(node).Volumes; v != nil {
		return v.Attached
	}
	return 0
}

func listsAttachments(r apiserver.Request) bool {
	return r.Resource == apiserver.VolumeAttachments && r.Verb == "list"
}

// TestStoryVolumes: a node is Drained once the volumes of its pods are detached,
// whichever process leads, and says for what and since when it waits; the volume of a
// pod that stays does not count, nor does one on another node.
func TestStoryVolumes(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("db", "n")
		s.deployment("keep", "n")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{{Name: "keep", Match: app("keep"), Action: plan.IgnorePod}}}
		s.wait(2 * time.Second)
		for claim, node := range map[string]string{"db": "n", "keep": "n", "far": "spare-001"} {
			s.attach(node, claim)
		}
		s.mount("n", "db", "db")
		s.mount("n", "keep", "keep")
		s.waitsForVolumes()
		first := s.start()
		s.drain("r", "n")
		s.await("the node says what it waits for", time.Minute, func() bool {
			m := s.message("n")
			return s.attached("n") == 1 && s.status("n").Reason == string(plan.Volume) && strings.Contains(m, "pv-db of PersistentVolumeClaim shop/db") &&
				strings.Contains(m, "kubectl describe volumeattachment csi-db")
		})
		since := s.status("n").Volumes.Since
		s.wait(2 * time.Minute)
		first.kill()
		second := s.start()
		s.wait(2 * time.Minute)
		if is := s.status("n"); is.Volumes == nil || !is.Volumes.Since.Equal(since) || is.Phase != api.Draining {
			t.Errorf("after a restart the node is %s and says %+v, want that it waits since %v", is.Phase, is.Volumes, since)
		}
		if n := second.metric("drainer_node_attached_volumes", "node", "n"); n != 1 {
			t.Errorf("%v volumes are counted, want 1", n)
		}
		if lists := len(s.server.Requests(listsAttachments)); lists < 5 || lists > 25 {
			t.Errorf("in four minutes and a restart, attachments were listed %d times", lists)
		}
		s.await("blocked, after as long as a pod needs to be stuck", 3*time.Minute, s.reaches("n", api.Blocked))
		s.detach("db")
		s.await("drained", time.Minute+10*time.Second, s.drained("r", "n"))
		if is := s.status("n"); is.Volumes != nil || is.Reason != "" || len(s.pods("n")) != 1 {
			t.Errorf("the drained node says %+v", is)
		}
	})
}

// TestStoryVolumesDetachInTime: a drain whose volumes are detached as fast as its pods
// leave takes no longer, and lists once.
func TestStoryVolumesDetachInTime(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("db", "n")
		s.attach("n", "db")
		s.waitsForVolumes()
		s.start()
		s.drain("r", "n")
		s.await("the pod gone", 10*time.Second, func() bool { return len(s.pods("n")) == 0 })
		s.detach("db")
		s.await("drained", 10*time.Second, s.drained("r", "n"))
		if lists := len(s.server.Requests(listsAttachments)); lists != 1 {
			t.Errorf("attachments were listed %d times, want once", lists)
		}
		for _, n := range s.writes("n") {
			if strings.Contains(n.Annotations[api.StatusAnnotation], "volumes") {
				t.Errorf("the node has said %s", n.Annotations[api.StatusAnnotation])
			}
		}
	})
}

// TestStoryVolumesUnknown: a node says that nobody knows what is attached, and what to
// do about that; a pod that arrives is evicted anyway.
func TestStoryVolumesUnknown(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("db", "n")
		s.waitsForVolumes()
		forbidden := apierrors.NewForbidden(schema.GroupResource{Group: storagev1.GroupName, Resource: "volumeattachments"}, "", fmt.Errorf("not allowed"))
		allow := s.server.Add(apiserver.Rule{Match: listsAttachments, Answer: apiserver.AnswerError(forbidden)})
		s.start()
		s.drain("r", "n")
		s.await("the node says so", time.Minute, func() bool {
			return s.phase("n") == api.Blocked && strings.Contains(s.message("n"), "cannot find out whether volumes are still attached") &&
				strings.Contains(s.message("n"), "allow drainer to list volumeattachments and to get persistentvolumes")
		})
		s.cluster(func(c *sim.Cluster) { stray(c, "stray", "n") })
		s.await("the stray pod is gone", time.Minute, func() bool { return len(s.evictions("stray")) == 1 && len(s.pods("n")) == 0 })
		before := len(s.server.Requests(listsAttachments))
		s.wait(10 * time.Minute)
		if lists := len(s.server.Requests(listsAttachments)) - before; lists < 5 || lists > 25 {
			t.Errorf("in ten minutes, attachments were listed %d times", lists)
		}
		allow()
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
	})
}

// TestStoryVolumesUnreachable: a node that has been unreachable for long enough is
// Drained with its volumes, and says so.
func TestStoryVolumesUnreachable(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("db", "n")
		s.attach("n", "db")
		s.waitsForVolumes(func(c *plan.Config) { c.IgnoreUnreachableAfter = 10 * time.Minute })
		s.start()
		s.ready("n", corev1.ConditionUnknown)
		s.drain("r", "n")
		s.wait(9 * time.Minute)
		if s.drained("r", "n")() {
			t.Error("the node is drained too early")
		}
		s.await("drained", 3*time.Minute, s.drained("r", "n"))
		s.wait(time.Minute)
		if is := s.status("n"); is.Pods.Unconfirmed != 1 || s.attached("n") != 1 {
			t.Errorf("the node says %+v, want one pod and one volume", is)
		}
	})
}

// TestStoryVolumesOfAnother: what cannot be read of one node's volumes says nothing about
// another node.
func TestStoryVolumesOfAnother(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b")
		s.spares(2)
		for _, node := range []string{"a", "b"} {
			s.deployment("db-"+node, node)
			s.attach(node, node)
		}
		s.deployment("keep", "a")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{{Name: "keep", Match: app("keep"), Action: plan.IgnorePod}}}
		s.wait(2 * time.Second)
		s.attach("a", "keep")
		s.mount("a", "keep", "keep")
		s.flags.maxDraining = "100%"
		s.waitsForVolumes()
		s.server.Add(apiserver.Rule{
			Match:  func(r apiserver.Request) bool { return r.Resource == apiserver.PersistentVolumes && r.Name == "pv-a" },
			Answer: apiserver.AnswerError(apierrors.NewInternalError(fmt.Errorf("it is broken"))),
		})
		s.start()
		s.drain("r", "a", "b")
		s.await("b says what is attached", time.Minute, func() bool { return s.attached("b") == 1 })
		s.await("a says that it is not known", time.Minute, func() bool { return strings.Contains(s.message("a"), "cannot find out") })
		if says := s.message("b"); strings.Contains(says, "cannot find out") {
			t.Errorf("b says %q", says)
		}
		s.detach("b")
		s.await("b is drained", time.Minute, s.drained("r", "b"))
	})
}

// TestStoryVolumesOfMany: what is attached to many nodes is found out by few lists.
func TestStoryVolumesOfMany(t *testing.T) {
	tell(t, func(s *story) {
		var nodes []string
		for i := range 20 {
			nodes = append(nodes, fmt.Sprintf("n%02d", i))
		}
		s.nodes(nodes...)
		s.spares(20)
		for _, node := range nodes {
			s.deployment("db-"+node, node)
			s.attach(node, node)
		}
		s.flags.maxDraining = "100%"
		s.waitsForVolumes()
		s.start()
		s.drain("r", nodes...)
		s.wait(2 * time.Minute)
		for _, node := range nodes {
			if s.attached(node) != 1 {
				t.Errorf("node %s says that it waits for %d volumes", node, s.attached(node))
			}
			s.detach(node)
		}
		s.await("drained", time.Minute, s.drained("r", nodes...))
		if lists := len(s.server.Requests(listsAttachments)); lists > 60 {
			t.Errorf("attachments were listed %d times for 20 nodes", lists)
		}
	})
}
