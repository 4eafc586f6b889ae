package drain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"drainer.dev/drainer/pkg/plan"
)

// listVolumes finds out what is attached to the nodes whose pods are gone. The API
// server cannot select attachments by node, so one list has those of all nodes, and
// answers for every node that has a use for it.
func (c *Controller) listVolumes(ctx context.Context) (progress, error) {
	nodes, awaited := c.wantingVolumes()
	if awaited != done {
		return awaited, nil
	}
	began := time.Now()
	attached, unlisted := c.attachments(ctx, nodes)
	failed := unlisted
	c.learned(plan.VolumesListed{Began: began, At: time.Now()})
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[name]
		found := plan.NodeVolumes{Node: n.Node.UID, Began: began}
		trouble := unlisted
		if trouble == nil {
			found.Left, trouble = c.leftOn(ctx, n, attached[name])
		}
		if trouble != nil {
			found.Trouble, failed = plan.VolumeTrouble(trouble), trouble
		}
		found.At = time.Now()
		c.learnedOf(n.Node.UID, found)
	}
	return done, failed
}

// wantingVolumes are the nodes for which a list of what is attached is useful, by
// name, and whether any of them waits for one. A node is left out if the newest plan
// does not know about the last write to it.
func (c *Controller) wantingVolumes() (nodes map[string]plan.NodePlan, awaited progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes, awaited = map[string]plan.NodePlan{}, nothing
	for uid, n := range c.plans {
		switch stale := c.planned <= c.after[uid]; {
		case stale && n.AwaitsVolumes && awaited == nothing:
			awaited = later
		case stale || !n.WantsVolumes():
		default:
			nodes[n.Node.Name] = n
			if n.AwaitsVolumes {
				awaited = done
			}
		}
	}
	return nodes, awaited
}

// attachments are what is attached to the nodes, by their names. The list comes in
// chunks, and nothing else of it is kept.
func (c *Controller) attachments(ctx context.Context, nodes map[string]plan.NodePlan) (map[string][]plan.Attachment, error) {
	attached := map[string][]plan.Attachment{}
	list := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return c.Client.StorageV1().VolumeAttachments().List(ctx, o)
	})
	err := list.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		a, is := o.(*storagev1.VolumeAttachment)
		if !is {
			return fmt.Errorf("the list has a %T", o)
		}
		if _, waits := nodes[a.Spec.NodeName]; waits {
			attached[a.Spec.NodeName] = append(attached[a.Spec.NodeName], plan.AttachmentOf(a))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the VolumeAttachments: %w", err)
	}
	return attached, nil
}

// leftOn are the attachments that the drain of a node waits for. An attachment does not
// say which pods use its volume: if any pods stay, every volume is read.
// Otherwise only that of the first attachment is, for its name.
func (c *Controller) leftOn(ctx context.Context, n plan.NodePlan, attached []plan.Attachment) ([]plan.Attachment, error) {
	staying := n.Memory.Volumes.Staying
	for i := range attached {
		if len(staying) == 0 {
			break
		}
		claim, err := c.claimOf(ctx, attached[i].Volume)
		if err != nil {
			return nil, err
		}
		attached[i].Claim = claim
	}
	left := plan.LeftOf(attached, staying)
	if len(left) > 0 && left[0].Claim == "" {
		// Without it the message names the volume alone.
		left[0].Claim, _ = c.claimOf(ctx, left[0].Volume)
	}
	return left, nil
}

// claimOf is the claim of a PersistentVolume; empty if it has none, or is gone.
func (c *Controller) claimOf(ctx context.Context, volume string) (string, error) {
	if volume == "" {
		return "", nil
	}
	v, err := c.Client.CoreV1().PersistentVolumes().Get(ctx, volume, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading PersistentVolume %s: %w", volume, err)
	case v.Spec.ClaimRef == nil:
		return "", nil
	default:
		return v.Spec.ClaimRef.Namespace + "/" + v.Spec.ClaimRef.Name, nil
	}
}

// claimsOf are the claims of the pods that stay on a node. The two lists are of the
// same pods.
func (c *Controller) claimsOf(list *corev1.PodList, pods []*plan.Pod, n *plan.Node) []string {
	around := c.around(n)
	var claims []string
	for i, pod := range pods {
		if !c.Config.IsTarget(pod, around) {
			claims = append(claims, plan.ClaimsOf(&list.Items[i])...)
		}
	}
	return claims
}
