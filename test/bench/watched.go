package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/workload"
)

// Watched is what drainer's process needs to watch many large pods that it
// cannot evict.
type Watched struct {
	// RSS is the most that was seen, in bytes, from the requests until all pods
	// had been watched for a while.
	RSS float64
	// PodBytes is the size of one of the pods as JSON.
	PodBytes int
	// CPU is how many seconds of processor it took until all pods were watched.
	CPU float64
}

const (
	watchedNodes  = 500
	watchedEach   = 60
	watchedWindow = 20 * time.Second
)

func (s *stage) probeWatched(ctx context.Context, p *Probes) (err error) {
	b, err := s.newBareScene(ctx, "watched", watchedNodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.empty(ctx), b.clear(ctx)) }()
	w := &Watched{}
	if err := b.fillWithLarge(ctx, w); err != nil {
		return err
	}
	// It has to keep every pod. It comes last because the disruption controller
	// counts all pods again for each one that comes.
	budget := workload.MinAvailable(b.namespace, "all", bareApp, fmt.Sprint(b.pods))
	if err := workload.Create(ctx, b.Client, budget); err != nil {
		return err
	}
	if err := b.watchAll(ctx, w); err != nil {
		return err
	}
	p.Watched = w
	return nil
}

// fillWithLarge adds running pods of 15 KB to every node.
func (b *bareScene) fillWithLarge(ctx context.Context, w *Watched) error {
	b.pods = watchedEach * len(b.nodes)
	client := b.Client.CoreV1().Pods(b.namespace)
	return b.inParallel(b.pods, func(i int) error {
		pod := large(b.podName(i), b.nodes[i%len(b.nodes)])
		created, err := client.Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("creating pod %s: %w", pod.Name, err)
		}
		created.Status = runningStatus(created)
		updated, err := client.UpdateStatus(ctx, created, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("letting pod %s run: %w", pod.Name, err)
		}
		if i == 0 {
			text, err := json.Marshal(updated)
			w.PodBytes = len(text)
			return err
		}
		return nil
	})
}

// watchAll lets drainer watch all pods, and notes the most memory that it takes.
func (b *bareScene) watchAll(ctx context.Context, w *Watched) error {
	p, _, err := b.startDrainer(ctx, b.namespace, append([]string{
		"--allow-last-node", "--bare-pods=Evict", "--node-selector=scenario=" + b.name,
		// For each list of pods the API server goes through all of them, and may
		// answer nothing else for longer than a lease usually lasts.
		"--leader-elect-lease-duration=5m", "--leader-elect-renew-deadline=4m",
	}, noLimits...)...)
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := b.inParallel(len(b.nodes), func(i int) error { return b.request(ctx, b.nodes[i], requestID) }); err != nil {
		return err
	}
	var all time.Time
	err = patience.Until(ctx, "all pods are watched for a while", await.Holds(func() (bool, error) {
		m, err := p.Metrics(ctx)
		if err != nil {
			return false, err
		}
		w.RSS = max(w.RSS, m.Sum("process_resident_memory_bytes"))
		if n := m.Sum("drainer_node_pods", "state", "blocked"); n < float64(b.pods) {
			return false, nil
		}
		if all.IsZero() {
			all, w.CPU = time.Now(), m.Sum("process_cpu_seconds_total")
		}
		return time.Since(all) >= watchedWindow, nil
	}))
	if err != nil {
		return err
	}
	return b.profileHeap(ctx, p, b.name)
}

// empty takes the pods away one by one: the API server deletes a collection no
// faster, and is given a minute for it.
func (b *bareScene) empty(ctx context.Context) error {
	now := int64(0)
	return b.inParallel(b.pods, func(i int) error {
		err := b.Client.CoreV1().Pods(b.namespace).Delete(ctx, b.podName(i), metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting a pod: %w", err)
		}
		return nil
	})
}

// large is a pod as clusters have them: three containers with many variables,
// probes and volumes.
func large(name, node string) *corev1.Pod {
	now := int64(0)
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/check", "--everything"}}}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{workload.AppLabel: bareApp, "app.kubernetes.io/instance": name, "team": "a"},
			Annotations: map[string]string{"checksum/config": strings.Repeat("c", 64), "prometheus.io/scrape": "true"},
		},
		Spec: corev1.PodSpec{
			NodeName: node, TerminationGracePeriodSeconds: &now,
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "config"},
			}}}},
		},
	}
	for c := range 3 {
		container := corev1.Container{
			Name: fmt.Sprintf("container-%d", c), Image: fmt.Sprintf("registry.example.com/team/project/container-%d:v1.2.3", c),
			LivenessProbe: probe, ReadinessProbe: probe,
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/config"}},
		}
		for e := range 21 {
			container.Env = append(container.Env, corev1.EnvVar{
				Name: fmt.Sprintf("SETTING_NUMBER_%d", e), Value: fmt.Sprintf("the-value-of-setting-%d-of-pod-%s", e, name),
			})
		}
		pod.Spec.Containers = append(pod.Spec.Containers, container)
	}
	return pod
}

// runningStatus is that of the pod while it runs and is ready.
func runningStatus(pod *corev1.Pod) corev1.PodStatus {
	started := true
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: "10.1.0.1", StartTime: &pod.CreationTimestamp,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
			{Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue},
		},
	}
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: "registry.example.com/team/project@sha256:" + strings.Repeat("1", 64),
			ContainerID: "containerd://" + strings.Repeat("2", 64), Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: pod.CreationTimestamp}},
		})
	}
	return status
}
