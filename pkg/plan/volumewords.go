package plan

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"drainer.dev/drainer/pkg/api"
)

// status is what the status annotation says, without words; nil if nothing is waited
// for.
func (v *Volumes) status() *api.Volumes {
	if v.Since.IsZero() {
		return nil
	}
	return &api.Volumes{Attached: v.Attached, Since: v.Since}
}

// sayVolumes adds to a status what there is to say about volumes.
func (n *NodePlan) sayVolumes(s *api.Status) {
	if s.Volumes == nil {
		return
	}
	said := *s.Volumes
	s.Volumes = &said
	if n.Phase == api.Drained {
		return
	}
	said.Message = n.Memory.Volumes.text()
	if s.Reason == "" {
		s.Reason = string(Volume)
	}
}

// unawaitedText says what it means that a node is Drained with volumes attached.
func unawaitedText(v *api.Volumes) string {
	if v.Attached == 0 {
		return "it is not known whether volumes are still attached: the node is unreachable"
	}
	return attachedText(v.Attached) + ": the node is unreachable"
}

// text says, for people, what is attached and what they can do.
func (v *Volumes) text() string {
	if v.Trouble != "" {
		return "cannot find out whether volumes are still attached: " + v.Trouble
	}
	if v.Attached == 0 {
		return "checking whether volumes are still attached"
	}
	text := attachedText(v.Attached)
	if first := v.First; first.Name != "" {
		text += ": " + first.title()
		if v.Attached > 1 {
			text += fmt.Sprintf(" (and %d more)", v.Attached-1)
		}
		text += fmt.Sprintf("; see kubectl describe volumeattachment %s, and the log of the CSI driver %s", first.Name, first.Driver)
		if first.Error != "" {
			text += ", which says " + first.Error
		}
	}
	return cut(text, mostVolumeWords)
}

// mostVolumeWords bounds text, which has two long names.
const mostVolumeWords = 400

func attachedText(volumes int) string {
	if volumes == 1 {
		return "1 volume is still attached"
	}
	return fmt.Sprintf("%d volumes are still attached", volumes)
}

// title names the volume.
func (a *Attachment) title() string {
	switch {
	case a.Volume == "":
		return "one that is not a PersistentVolume"
	case a.Claim == "":
		return a.Volume
	default:
		return a.Volume + " of PersistentVolumeClaim " + a.Claim
	}
}

// VolumeTrouble says, for people, why it is not known what is attached, and what they
// can do.
func VolumeTrouble(err error) string {
	if apierrors.IsForbidden(err) {
		return err.Error() + "; allow drainer to list volumeattachments and to get persistentvolumes, or set waitForVolumeDetach: false"
	}
	return err.Error()
}
