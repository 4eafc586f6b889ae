package drain

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"drainer.dev/drainer/pkg/plan"
)

// listSiblings lists the pods of a controller, on whatever nodes they are. The API
// server cannot select by controller, so it selects by labels. The list comes in chunks,
// and only what a Sibling says is kept of each pod.
func (c *Controller) listSiblings(ctx context.Context, read plan.SiblingRead) error {
	listed := plan.SiblingsListed{Controller: read.Controller, Began: time.Now()}
	list := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return c.Client.CoreV1().Pods(read.Namespace).List(ctx, o)
	})
	err := list.EachListItem(ctx, metav1.ListOptions{LabelSelector: read.Selector}, func(o runtime.Object) error {
		pod, is := o.(*corev1.Pod)
		if !is {
			return fmt.Errorf("the list has a %T", o)
		}
		if s, is := plan.SiblingOf(pod, read.Controller); is {
			listed.Siblings = append(listed.Siblings, s)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the pods of a controller in namespace %s: %w", read.Namespace, err)
	}
	c.learned(listed)
	return nil
}
