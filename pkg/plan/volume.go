package plan

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Attachment is what a plan knows of a VolumeAttachment.
type Attachment struct {
	Name string
	// Driver is the CSI driver that detaches.
	Driver string
	// Volume is the PersistentVolume; empty for a volume that is none.
	Volume string
	// Claim is the volume's claim, as namespace/name; empty if that is not known.
	Claim string
	// Error is why the driver has failed to detach; empty if it has not.
	Error string
}

// AttachmentOf makes a plan's Attachment of the API's, whose claim is not known.
func AttachmentOf(a *storagev1.VolumeAttachment) Attachment {
	is := Attachment{Name: a.Name, Driver: a.Spec.Attacher}
	if volume := a.Spec.Source.PersistentVolumeName; volume != nil {
		is.Volume = *volume
	}
	if problem := a.Status.DetachError; problem != nil {
		is.Error = problem.Message
	}
	return is
}

// ClaimsOf are the claims of a pod's volumes, as namespace/name.
func ClaimsOf(pod *corev1.Pod) []string {
	var claims []string
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			claims = append(claims, pod.Namespace+"/"+v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			// The name that the API server's documentation gives to such a claim.
			claims = append(claims, pod.Namespace+"/"+pod.Name+"-"+v.Name)
		}
	}
	return claims
}

// Volumes is what is known of the volumes of a node once its targets are gone. The
// zero Volumes knows nothing.
type Volumes struct {
	// GoneAt is when the API server's own list of the node's pods had no target. What
	// is attached has to be listed after that; zero if the pods have to be listed first.
	GoneAt time.Time
	// LookedAt is the last GoneAt, and Staying are the claims of the pods that stayed
	// then, as namespace/name.
	LookedAt time.Time
	Staying  []string
	// DetachedAt is when a list was made that had nothing to wait for; zero without.
	DetachedAt time.Time
	// Since is since when the drain waits for volumes; zero if it does not.
	Since time.Time
	// Attached is how many are attached, First one of them; zero if a previous process
	// has found it.
	Attached int
	First    Attachment
	// Trouble is why it is not known what is attached; empty if it is.
	Trouble string
}

// NodeEmpty: the API server's own list of the node's pods has no target, and volumes
// may still be attached. Staying are the claims of the pods that stay.
type NodeEmpty struct {
	Node    types.UID
	Request string
	Staying []string
	At      time.Time
}

// VolumesListed: the API server has listed what is attached to nodes, or could not.
// It took from Began to At.
type VolumesListed struct {
	Began, At time.Time
}

// NodeVolumes: what a list has found that is attached to a node and used by no pod
// that stays, sorted, or why that is not known.
type NodeVolumes struct {
	Node    types.UID
	Left    []Attachment
	Trouble string
	Began   time.Time
	At      time.Time
}

func (NodeEmpty) fact()     {}
func (VolumesListed) fact() {}
func (NodeVolumes) fact()   {}

const (
	// volumesRetry is how long the first list waits after one that found volumes; as
	// the wait continues it is a quarter of that, at most volumesRetryMost. A driver takes
	// seconds to minutes.
	volumesRetry     = 2 * time.Second
	volumesRetryMost = time.Minute
	// looksAgain is how long until the pods of a node that waits for volumes are looked at
	// again, even though the lists for other nodes show that it has to wait.
	looksAgain = 5 * time.Minute
	// volumesRest is the least time between two lists, which have the attachments of
	// all nodes; a list that took long is followed by four times as long a rest.
	volumesRest = time.Second
)

// restAfter is when attachments may be listed again.
func (f VolumesListed) restAfter() time.Time {
	return f.At.Add(max(volumesRest, 4*f.At.Sub(f.Began)))
}

// emptied is n once its pods were found gone.
func (n NodeMemory) emptied(f NodeEmpty) NodeMemory {
	if n.Request == f.Request {
		n.Volumes.GoneAt, n.Volumes.LookedAt, n.Volumes.Staying = f.At, f.At, f.Staying
	}
	return n
}

// volumesFound is n after a list of what is attached. A list that began before the
// pods were gone says nothing.
func (n NodeMemory) volumesFound(f NodeVolumes) NodeMemory {
	v := &n.Volumes
	switch {
	case v.GoneAt.IsZero():
		return n.volumesHinted(f)
	case f.Began.Before(v.GoneAt):
		return n
	case f.Trouble == "" && len(f.Left) == 0:
		n.Volumes = Volumes{GoneAt: v.GoneAt, DetachedAt: f.Began}
		return n
	}
	if v.Since.IsZero() {
		v.Since = f.At
	}
	v.Trouble = f.Trouble
	if f.Trouble == "" {
		// The next list follows another look at the pods.
		v.GoneAt = time.Time{}
		v.Attached, v.First = len(f.Left), f.Left[0]
		n.RetryConfirmAt = v.nextLook(f.At)
	}
	return n
}

// volumesHinted is n after a list that was made for other nodes, before the pods of
// this one have been looked at again: it says whether that is worth while.
func (n NodeMemory) volumesHinted(f NodeVolumes) NodeMemory {
	v := &n.Volumes
	switch {
	case v.Since.IsZero() || f.Trouble != "" || f.Began.Before(v.LookedAt):
	case len(f.Left) == 0:
		n.RetryConfirmAt = f.At
	default:
		v.Attached, v.First = len(f.Left), f.Left[0]
		if next := v.nextLook(f.At); next.Before(v.LookedAt.Add(looksAgain)) {
			n.RetryConfirmAt = next
		}
	}
	return n
}

// nextLook is when the pods are looked at again, and what is attached after them.
func (v *Volumes) nextLook(now time.Time) time.Time {
	return now.Add(min(max(now.Sub(v.Since)/4, volumesRetry), volumesRetryMost))
}

// LeftOf are the attachments that a drain waits for, of those to the node: all that
// no pod that stays uses, sorted.
func LeftOf(attached []Attachment, staying []string) []Attachment {
	left := slices.DeleteFunc(slices.Clone(attached), func(a Attachment) bool { return slices.Contains(staying, a.Claim) })
	slices.SortFunc(left, func(a, b Attachment) int { return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Name, b.Name)) })
	return left
}

// VolumesSettled is true if no volume keeps the node from being Drained. If a node has been
// unreachable for so long that its pods do not keep it from that either, its volumes are
// listed, but not waited for.
func (c *Config) VolumesSettled(node *Node, v *Volumes, now time.Time) bool {
	return !c.WaitForVolumeDetach || !v.DetachedAt.IsZero() || !v.Since.IsZero() && c.ignoresUnreachable(node, now)
}

// ignoresUnreachable is true for a node that has been unreachable for
// Config.IgnoreUnreachableAfter.
func (c *Config) ignoresUnreachable(node *Node, now time.Time) bool {
	return c.IgnoreUnreachableAfter > 0 && node.Unreachable && !node.ReadySince.IsZero() &&
		!now.Before(node.ReadySince.Add(c.IgnoreUnreachableAfter))
}

// followVolumes forgets what nobody waits for, and notes that a node that was Drained
// with volumes because it was unreachable is reachable again.
func (p *planner) followVolumes(n *nodeWork) {
	m := &n.memory
	switch {
	case !p.Config.WaitForVolumeDetach:
		m.Volumes = Volumes{}
	case !m.Volumes.Since.IsZero() && !m.FinishedAt.IsZero() && !p.Config.ignoresUnreachable(n.node, p.Now):
		*m = m.reopened(p.Now)
	}
}

// settleVolumes says whether a node that looks drained is to be confirmed, or has to
// wait for a list of what is attached.
func (p *planner) settleVolumes(n *nodeWork) (confirm, list bool) {
	v := &n.memory.Volumes
	confirm = v.GoneAt.IsZero() || p.Config.VolumesSettled(n.node, v, p.Now)
	return confirm, !confirm
}

// WantsVolumes is true for a node that has a use for a list of what is attached, for
// which it may wait.
func (n *NodePlan) WantsVolumes() bool {
	return n.AwaitsVolumes || !n.Memory.Volumes.Since.IsZero() && n.Memory.FinishedAt.IsZero()
}

// listsVolumes is true if a node waits for a list, and it is time for one.
func (p *planner) listsVolumes(nodes []NodePlan) bool {
	awaited := false
	for i := range nodes {
		awaited = awaited || nodes[i].AwaitsVolumes
	}
	if !awaited {
		return false
	}
	at := p.Memory.listVolumesAt
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// volumesStall is true for a drain that waits for volumes and makes no progress: they
// have been attached for so long that a pod would be stuck, or nobody knows.
func (p *planner) volumesStall(n *nodeWork) bool {
	v := &n.memory.Volumes
	if v.Since.IsZero() || n.counts.Remaining() > 0 {
		return false
	}
	at := v.Since.Add(p.Config.StuckAfter)
	p.wakeAt(at)
	return v.Trouble != "" || !p.Now.Before(at)
}
