package plan

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"drainer.dev/drainer/pkg/api"
)

// emptied adds a node that was drained of its pods, which a list has confirmed half
// a minute ago.
func (s scene) emptied(name string) *Node {
	s.Config.WaitForVolumeDetach = true
	n := s.draining(name)
	s.report(n)
	s.apply(NodeEmpty{Node: n.UID, Request: "r", Staying: []string{"ns/logs"}, At: s.Now.Add(-30 * time.Second)})
	return n
}

func (s scene) apply(f Fact) { s.Memory.Apply(f) }

// found lets a list have found so many volumes on the node.
func (s scene) found(n *Node, volumes ...string) {
	f := NodeVolumes{Node: n.UID, Began: s.Now, At: s.Now}
	for _, volume := range volumes {
		f.Left = append(f.Left, Attachment{Name: "csi-" + volume, Driver: "disk.example.com", Volume: volume, Claim: "ns/data"})
	}
	s.apply(f)
}

// TestVolumes: what is done at a node whose pods are gone, by what is known of its
// volumes, a while after that became known.
func TestVolumes(t *testing.T) {
	attached := func(waited time.Duration, volumes ...string) func(scene, *Node) {
		return func(s scene, n *Node) {
			s.waitsSince(n, waited)
			s.found(n, volumes...)
		}
	}
	listed := func(took time.Duration) func(scene, *Node) {
		return func(s scene, _ *Node) { s.apply(VolumesListed{Began: s.Now.Add(-took), At: s.Now}) }
	}
	// A list for other nodes, so long after its own look at its pods, and at its volumes.
	hinted := func(later time.Duration, volumes ...string) func(scene, *Node) {
		return func(s scene, n *Node) {
			s.waitsSince(n, time.Hour)
			s.found(n, "a")
			s.Now = s.Now.Add(later)
			s.found(n, volumes...)
		}
	}
	unreachable := func(s scene, n *Node) {
		s.Config.IgnoreUnreachableAfter = 10 * time.Minute
		unreachableFor(n, time.Hour)
	}
	for name, test := range map[string]struct {
		prepare       func(scene, *Node)
		after         time.Duration
		confirm, list bool
		attached      int
	}{
		"nothing is known":    {prepare: func(s scene, n *Node) { s.apply(NodeNotDrained{Node: n.UID, At: s.Now.Add(-time.Minute)}) }, confirm: true},
		"the pods are gone":   {list: true},
		"nobody has to wait":  {prepare: func(s scene, _ *Node) { s.Config.WaitForVolumeDetach = false }, confirm: true},
		"nothing is attached": {prepare: func(s scene, n *Node) { s.found(n) }, confirm: true},
		"the list is older than that": {
			prepare: func(s scene, n *Node) { s.apply(NodeVolumes{Node: n.UID, Began: s.Now.Add(-time.Minute), At: s.Now}) }, list: true,
		},
		"a pod came after the list": {
			prepare: func(s scene, n *Node) { s.found(n); s.pod(n.Name, "web-1"); s.kept(); s.Pods[n.Name] = []*Entry{} }, confirm: true,
		},
		"lists were made just now":                        {prepare: listed(0), after: time.Second - 1},
		"lists were made a moment ago":                    {prepare: listed(0), after: time.Second, list: true},
		"lists take long":                                 {prepare: listed(3 * time.Second), after: 12*time.Second - 1},
		"lists take long, and have been made long ago":    {prepare: listed(3 * time.Second), after: 12 * time.Second, list: true},
		"volumes are attached":                            {prepare: attached(0, "a", "b"), after: 2*time.Second - 1, attached: 2},
		"volumes were attached":                           {prepare: attached(0, "a", "b"), after: 2 * time.Second, confirm: true, attached: 2},
		"they have been for a minute":                     {prepare: attached(time.Minute, "a"), after: 15*time.Second - 1, attached: 1},
		"they had been for a minute":                      {prepare: attached(time.Minute, "a"), after: 15 * time.Second, confirm: true, attached: 1},
		"they have been for an hour":                      {prepare: attached(time.Hour, "a"), after: time.Minute - 1, attached: 1},
		"they had been for an hour":                       {prepare: attached(time.Hour, "a"), after: time.Minute, confirm: true, attached: 1},
		"another node's list did not find them":           {prepare: hinted(0), confirm: true, attached: 1},
		"another node's list found them, too":             {prepare: hinted(30*time.Second, "b", "c"), after: time.Minute - 1, attached: 2},
		"another node's list found them a while ago":      {prepare: hinted(30*time.Second, "b", "c"), after: time.Minute, confirm: true, attached: 2},
		"other nodes' lists have found them for too long": {prepare: hinted(4*time.Minute, "b", "c"), confirm: true, attached: 2},
		"another node's list comes first": {
			prepare: func(s scene, n *Node) {
				s.apply(NodeNotDrained{Node: n.UID, At: s.Now.Add(-time.Minute)})
				s.found(n, "a")
			}, confirm: true,
		},
		"nobody knows": {
			prepare: func(s scene, n *Node) { s.apply(NodeVolumes{Node: n.UID, Trouble: "broken", Began: s.Now, At: s.Now}) }, list: true,
		},
		"the node is unreachable, and nothing is known": {prepare: unreachable, list: true},
		"the node is unreachable, and nobody knows": {
			prepare: func(s scene, n *Node) {
				unreachable(s, n)
				s.apply(NodeVolumes{Node: n.UID, Trouble: "broken", Began: s.Now, At: s.Now})
			}, confirm: true,
		},
		"another request": {
			prepare: func(s scene, n *Node) {
				s.apply(NodeNotDrained{Node: n.UID, At: s.Now.Add(-time.Minute)})
				s.apply(NodeEmpty{Node: n.UID, Request: "another", At: s.Now})
			}, confirm: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.emptied("n")
			if test.prepare != nil {
				test.prepare(s, n)
			}
			s.Now = s.Now.Add(test.after)
			s.report(n)
			plan := Make(s.Snapshot)
			is := planOf(t, plan, "n")
			if is.Write || is.Confirm != test.confirm || plan.ListVolumes != test.list {
				t.Errorf("writes %v, confirms %v, lists %v; want to confirm %v, to list %v", is.Write, is.Confirm, plan.ListVolumes, test.confirm, test.list)
			}
			attached := 0
			if v := is.Facts.Status.Volumes; v != nil {
				attached = v.Attached
			}
			if attached != test.attached {
				t.Errorf("says that %d volumes are attached, want %d", attached, test.attached)
			}
		})
	}
}

// TestVolumesUnreachable: whether a node that has been unreachable for so long has to
// wait is known at once, and not only when it looks again.
func TestVolumesUnreachable(t *testing.T) {
	c := Config{WaitForVolumeDetach: true, IgnoreUnreachableAfter: 10 * time.Minute}
	for name, test := range map[string]struct {
		change func(*Config, *Node, *Volumes)
		want   bool
	}{
		"for long":                {want: true},
		"for a while":             {change: func(_ *Config, n *Node, _ *Volumes) { unreachableFor(n, 10*time.Minute-1) }},
		"reachable again":         {change: func(_ *Config, n *Node, _ *Volumes) { n.Unreachable = false }},
		"since nobody knows when": {change: func(_ *Config, n *Node, _ *Volumes) { n.ReadySince = time.Time{} }},
		"and is waited for":       {change: func(c *Config, _ *Node, _ *Volumes) { c.IgnoreUnreachableAfter = 0 }},
		"and nobody has looked":   {change: func(_ *Config, _ *Node, v *Volumes) { *v = Volumes{} }},
	} {
		c, n, v := c, &Node{}, Volumes{Since: noon, Attached: 1}
		unreachableFor(n, 10*time.Minute)
		if test.change != nil {
			test.change(&c, n, &v)
		}
		if settled := c.VolumesSettled(n, &v, noon); settled != test.want {
			t.Errorf("unreachable %s: %v, want %v", name, settled, test.want)
		}
	}
}

// kept is a plan that the memory has taken in.
func (s scene) kept() Plan {
	plan := Make(s.Snapshot)
	s.Memory.Keep(&plan, s.Config, s.Now)
	return plan
}

// waitsSince lets the node have waited for volumes for so long.
func (s scene) waitsSince(n *Node, d time.Duration) {
	m := s.Memory.Nodes[n.UID]
	m.Volumes.Since, m.Volumes.Attached = s.Now.Add(-d), 1
	s.Memory.Nodes[n.UID] = m
}

// TestVolumesReachable: a node that was drained with its volumes because it was
// unreachable waits for them once it is reachable, and no longer if nobody is to wait.
func TestVolumesReachable(t *testing.T) {
	s := newScene()
	n := s.emptied("n")
	s.Config.IgnoreUnreachableAfter = 10 * time.Minute
	unreachableFor(n, time.Hour)
	s.waitsSince(n, time.Hour)
	s.apply(NodeDrained{Node: n.UID, Request: "r", At: s.Now})
	for _, step := range []struct {
		name     string
		change   func()
		phase    api.Phase
		attached bool
	}{
		{"unreachable", func() {}, api.Drained, true},
		{"reachable", func() { n.Ready, n.Unreachable = true, false }, api.Draining, true},
		{"not waited for", func() { s.Config.WaitForVolumeDetach = false }, api.Draining, false},
	} {
		step.change()
		is := planOf(t, s.kept(), "n")
		if is.Phase != step.phase || (is.Facts.Status.Volumes != nil) != step.attached {
			t.Errorf("%s: the phase is %s, the volumes %+v; want %s, volumes %v", step.name, is.Phase, is.Facts.Status.Volumes, step.phase, step.attached)
		}
	}
}

// TestVolumesStall: a drain that has waited for volumes for as long as a pod needs to
// be stuck is Blocked, and one that cannot find out about them is so before long.
func TestVolumesStall(t *testing.T) {
	for name, test := range map[string]struct {
		waits   time.Duration
		trouble string
		blocked bool
	}{
		"for a while":  {waits: time.Minute},
		"for too long": {waits: 6 * time.Minute, blocked: true},
		"in the dark":  {waits: time.Second, trouble: "broken", blocked: true},
	} {
		s := newScene()
		n := s.emptied("n")
		s.waitsSince(n, test.waits)
		s.apply(NodeVolumes{Node: n.UID, Trouble: test.trouble, Left: []Attachment{{Name: "csi-a"}}, Began: s.Now, At: s.Now})
		if phase := planOf(t, s.kept(), "n").Phase; phase != api.Draining {
			t.Errorf("%s: the phase is %s at first", name, phase)
		}
		s.Now = s.Now.Add(blockedAfter)
		want := map[bool]api.Phase{false: api.Draining, true: api.Blocked}[test.blocked]
		if phase := planOf(t, s.kept(), "n").Phase; phase != want {
			t.Errorf("%s: the phase is %s, want %s", name, phase, want)
		}
	}
}

// TestVolumesSaid: the node says how many volumes it waits for, which, since when, and
// what a person can do; another process says since when, too.
func TestVolumesSaid(t *testing.T) {
	s := newScene()
	n := s.emptied("n")
	s.waitsSince(n, 3*time.Minute)
	s.found(n, "pv-1", "pv-2")
	r := planOf(t, s.kept(), "n").Report()
	const says = "0 of 0 pods gone; 2 volumes are still attached: pv-1 of PersistentVolumeClaim ns/data (and 1 more); " +
		"see kubectl describe volumeattachment csi-pv-1, and the log of the CSI driver disk.example.com; for 3m so far"
	if r.Message != says || r.Status.Reason != string(Volume) {
		t.Errorf("reason %q, message %q, want %q", r.Status.Reason, r.Message, says)
	}
	s.report(n)
	delete(s.Memory.Nodes, n.UID)
	is := planOf(t, s.kept(), "n")
	if v := is.Facts.Status.Volumes; v == nil || v.Attached != 2 || !v.Since.Equal(noon.Add(-3*time.Minute)) {
		t.Errorf("after a restart the node says %+v", v)
	}
	s.Config.IgnoreUnreachableAfter = 10 * time.Minute
	done := r.Done(noon, 0)
	if want := "2 volumes are still attached: the node is unreachable"; !strings.HasSuffix(done.Message, want) || done.Status.Reason != "" || done.Status.Volumes.Message != "" {
		t.Errorf("once drained it says %q, want %q at its end; %+v", done.Message, want, done.Status)
	}
}

// TestOneVolumeSaid: one volume is named alone.
func TestOneVolumeSaid(t *testing.T) {
	s := newScene()
	n := s.emptied("n")
	s.waitsSince(n, 3*time.Minute)
	s.found(n, "pv-1")
	const says = "1 volume is still attached: pv-1 of PersistentVolumeClaim ns/data; see kubectl describe volumeattachment csi-pv-1"
	if r := planOf(t, s.kept(), "n").Report(); !strings.Contains(r.Message, says) {
		t.Errorf("the message is %q, want %q", r.Message, says)
	}
}

// TestVolumeTrouble: a missing permission is named with what to do.
func TestVolumeTrouble(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "volumeattachments"}, "", errors.New("no"))
	for _, test := range []struct {
		err  error
		want bool
	}{{forbidden, true}, {errors.New("no route to host"), false}} {
		text := VolumeTrouble(test.err)
		if advises := strings.Contains(text, "allow drainer to list volumeattachments"); advises != test.want || !strings.HasPrefix(text, test.err.Error()) {
			t.Errorf("of %v it is said %q", test.err, text)
		}
	}
}

// TestLeftOf: attachments count unless a pod that stays uses their volume.
func TestLeftOf(t *testing.T) {
	attached := []Attachment{{Name: "c", Volume: "3", Claim: "ns/a"}, {Name: "b", Volume: "2", Claim: "ns/b"}, {Name: "a", Volume: "2"}}
	var names []string
	for _, a := range LeftOf(attached, []string{"ns/b", "other/a"}) {
		names = append(names, a.Name)
	}
	if want := []string{"a", "c"}; !slices.Equal(names, want) {
		t.Errorf("left are %v, want %v", names, want)
	}
}

// TestClaimsOf: claims are those of the pod's volumes, also if the volume makes them.
func TestClaimsOf(t *testing.T) {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name = "ns", "db-0"
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-db-0"}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	if claims, want := ClaimsOf(pod), []string{"ns/data-db-0", "ns/db-0-scratch"}; !slices.Equal(claims, want) {
		t.Errorf("the claims are %v, want %v", claims, want)
	}
}

// TestAttachmentOf: an attachment names its driver, its volume and its error.
func TestAttachmentOf(t *testing.T) {
	volume := "pv-1"
	a := &storagev1.VolumeAttachment{Spec: storagev1.VolumeAttachmentSpec{
		Attacher: "disk.example.com", NodeName: "n", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
	}}
	a.Name = "csi-1"
	a.Status.DetachError = &storagev1.VolumeError{Message: "busy"}
	if got, want := AttachmentOf(a), (Attachment{Name: "csi-1", Driver: "disk.example.com", Volume: "pv-1", Error: "busy"}); !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v, want %+v", got, want)
	}
	a.Spec.Source.PersistentVolumeName = nil
	if got := AttachmentOf(a); got.Volume != "" {
		t.Errorf("an inline volume is called %q", got.Volume)
	}
}

// TestVolumesInvalid: a request that is invalid for a while does not forget since when its
// drain has waited for volumes.
func TestVolumesInvalid(t *testing.T) {
	s := newScene()
	s.Config.WaitForVolumeDetach = true
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.Volumes = Volumes{Since: noon.Add(-time.Hour), Attached: 1}
	s.Memory.Nodes[n.UID] = m
	n.Annotations["drainer.dev/typo"] = "x"
	if got := planOf(t, Make(s.Snapshot), "n").Memory.Volumes; !got.Since.Equal(noon.Add(-time.Hour)) {
		t.Errorf("it has waited since %v", got.Since)
	}
}
