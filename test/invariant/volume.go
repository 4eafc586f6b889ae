package invariant

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Attachment is a volume that is attached to a node.
type Attachment struct {
	// Name is that of the VolumeAttachment.
	Name, Node string
	// Namespace and Claim are those of the volume's PersistentVolumeClaim.
	Namespace, Claim string
}

// Attached: a volume is attached from now on.
func (c *Checker) Attached(at time.Time, a Attachment) {
	if _, known := c.attached[a.Name]; !known {
		c.attached[a.Name] = attached{a, at}
	}
}

// Detached: the volume of the VolumeAttachment is no longer attached.
func (c *Checker) Detached(name string) { delete(c.attached, name) }

// ListedAttachments: the API server has answered drainer's list of what is attached.
func (c *Checker) ListedAttachments(at time.Time) { c.listedAttachments = at }

// attached is an Attachment, and since when it is known.
type attached struct {
	Attachment
	since time.Time
}

// judgeVolumes: a node that drainer calls drained had no volume, other than those of
// pods that stay, when what is attached was last listed.
func (c *Checker) judgeVolumes(at time.Time, n *node) {
	if !c.rules.WaitsForVolumes || c.unreachable(n, at) {
		return
	}
	looked := at
	if !c.listedAttachments.IsZero() {
		looked = c.listedAttachments
	}
	for _, a := range c.attached {
		if a.Node == n.name && a.since.Before(looked) && !c.used(a.Attachment) {
			c.violated(DrainedIsEmpty, at, "node %s is reported drained although the volume of claim %s/%s is attached to it since %v",
				n.name, a.Namespace, a.Claim, at.Sub(a.since))
		}
	}
}

// used is true for the volume of a pod on the node.
func (c *Checker) used(a Attachment) bool {
	for key, p := range c.pods {
		if key.Namespace == a.Namespace && p.Spec.NodeName == a.Node && slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
			return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == a.Claim
		}) {
			return true
		}
	}
	return false
}
