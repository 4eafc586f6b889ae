package cli

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"drainer.dev/drainer/pkg/api"
)

// TestChangedInBetween: a node that changes between our reading and our writing is
// decided about again, unless it has another request by then, which nobody has
// looked at, or is another node.
func TestChangedInBetween(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.Node)
		status int
		says   string
		asked  string
	}{
		"a heartbeat":     {func(*corev1.Node) {}, 0, "drain requested: x, instead of r", "x"},
		"another request": {func(n *corev1.Node) { n.Annotations[api.DrainAnnotation] = "y" }, ExitFailure, `changed from "r" to "y" while this command ran: nothing was written`, "y"},
		"no request":      {func(n *corev1.Node) { delete(n.Annotations, api.DrainAnnotation) }, ExitFailure, `changed from "r" to "" while this command ran`, ""},
		"another node":    {func(n *corev1.Node) { n.UID = "other" }, ExitFailure, "deleted and created again while this command ran", "r"},
		"another setting": {func(n *corev1.Node) { n.Annotations[api.PausedAnnotation] = "true" }, 0, "instead of r", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(named("na", in(api.Draining)))
			patches := 0
			client.PrependReactor("patch", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
				if patches++; patches > 1 {
					return false, nil, nil
				}
				n := named("na", in(api.Draining))
				test.change(n)
				if err := client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("nodes"), n, ""); err != nil {
					t.Error(err)
				}
				return true, nil, apierrors.NewConflict(corev1.Resource("nodes"), "na", nil)
			})
			got := run(t, client, "drain", "na", "--id=x", "--overwrite")
			if got.status != test.status || !strings.Contains(got.out+got.err, test.says) {
				t.Errorf("exit status %d, want %d and %q:\n%s%s", got.status, test.status, test.says, got.out, got.err)
			}
			if id := annotation(t, client, "na", api.DrainAnnotation); id != test.asked {
				t.Errorf("the node has the request %q, want %q", id, test.asked)
			}
			if paused := annotation(t, client, "na", api.PausedAnnotation); paused != "" {
				t.Errorf("a setting of the request that was replaced stays: %q", paused)
			}
		})
	}
}
