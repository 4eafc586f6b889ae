package kubelet

import (
	"os"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/suite"
)

// TestDrain: all kinds of pods leave a real kubelet; those that end slowly are
// waited for, and a finalizer is named. Static pods and those of a DaemonSet stay.
func TestDrain(t *testing.T) {
	s := newScene(t)
	jobMeta, _ := s.meta("job")
	job := s.template("job", 2, "pause")
	job.Spec.RestartPolicy = corev1.RestartPolicyNever
	setMeta, setSelector := s.meta("set")
	set := s.template("set", 2, "pause")
	set.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	set.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	hook := s.template("hook", 20, "pause")
	hook.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
		Exec: &corev1.ExecAction{Command: []string{"/container", "sleep", "3"}},
	}}
	held := s.template("held", 2, "pause")
	held.Finalizers = []string{"example.com/hold"}
	everywhereMeta, everywhere := s.meta("daemon")
	one := int32(1)
	s.create(
		s.deployment("slow", 2, s.template("slow", 20, "ignore", "8")),
		s.deployment("deaf", 1, s.template("deaf", 3, "ignore", "3600")),
		s.deployment("hook", 1, hook), s.deployment("held", 1, held),
		&batchv1.Job{ObjectMeta: jobMeta, Spec: batchv1.JobSpec{Template: job}},
		&appsv1.StatefulSet{ObjectMeta: setMeta, Spec: appsv1.StatefulSetSpec{Replicas: &one, Selector: setSelector, Template: set}},
		&appsv1.DaemonSet{ObjectMeta: everywhereMeta, Spec: appsv1.DaemonSetSpec{Selector: everywhere, Template: s.template("daemon", 2, "pause")}},
	)
	s.static("static")
	s.awaitRunning(9)
	s.drain()
	s.awaitBlocker("held", "finalizer")
	if err := s.letGo(suite.Context(t)); err != nil {
		t.Fatal(err)
	}
	s.awaitDrained("daemon-", "static-")
}

// TestStopped: while containerd or the kubelet does nothing, a pod that was evicted
// is overdue because of the kubelet, and the node is not Drained.
func TestStopped(t *testing.T) {
	for name, stops := range map[string]func() *os.Process{
		"containerd": func() *os.Process { return shared.machine.containerd.Process },
		"kubelet":    func() *os.Process { return shared.machine.kubelet.Process },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.create(s.deployment("web", 1, s.template("web", 2, "ignore", "1")))
			s.awaitRunning(1)
			if err := stops().Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			s.drain()
			s.awaitBlocker("web", "kubelet")
			if phase := s.status().Phase; phase == api.Drained {
				t.Errorf("the node is %s", phase)
			}
			if err := stops().Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			s.awaitDrained()
		})
	}
}
