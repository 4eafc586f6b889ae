package chart

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/suite"
)

// playTest plays the kubelet for the pod of helm test while that runs: it does
// what the pod asks for, with the address of a real drainer.
func playTest(t *testing.T, namespace, address string, helmTest func()) {
	t.Helper()
	ctx := suite.Context(t)
	pods := shared.Client.CoreV1().Pods(namespace)
	watch, err := pods.Watch(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=drainer-test"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	played := make(chan error, 1)
	go func() {
		for event := range watch.ResultChan() {
			// The fake kubelet says that it runs; what it does is up to us.
			if pod, ok := event.Object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning {
				played <- play(ctx, t, pod, address)
				return
			}
		}
		played <- fmt.Errorf("the watch of the test's pod ended: %w", ctx.Err())
	}()
	helmTest()
	if err := suite.Receive(t, "the test's pod has run", played); err != nil {
		t.Fatal(err)
	}
	if _, err := pods.Get(t.Context(), "drainer-test", metav1.GetOptions{}); !missing(err) {
		t.Errorf("the pod of helm test is still there: %v", err)
	}
}

func play(ctx context.Context, t *testing.T, pod *corev1.Pod, address string) error {
	args := slices.Clone(pod.Spec.Containers[0].Args)
	for i, arg := range args {
		if text, ok := strings.CutPrefix(arg, "--url="); ok {
			u, err := url.Parse(text)
			if err != nil {
				return err
			}
			if service := "drainer." + pod.Namespace + ".svc:8081"; u.Host != service {
				t.Errorf("helm test asks %s, the Service is %s", u.Host, service)
			}
			u.Host = address
			args[i] = "--url=" + u.String()
		}
	}
	phase := corev1.PodSucceeded
	if out, err := exec.CommandContext(ctx, shared.Drainer, args...).CombinedOutput(); err != nil {
		t.Errorf("drainer %v: %v\n%s", args, err, out)
		phase = corev1.PodFailed
	}
	// The fake kubelet may still write to the pod.
	_, err := shared.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType,
		fmt.Appendf(nil, `{"status":{"phase":%q}}`, phase), metav1.PatchOptions{}, "status")
	return err
}
