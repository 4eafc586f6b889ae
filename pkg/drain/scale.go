package drain

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/plan"
)

// readScale reads how many replicas a controller of pods has, for the next plan.
func (c *Controller) readScale(ctx context.Context, read plan.ScaleRead) error {
	scale, err := c.scaleNow(ctx, read)
	if err == nil {
		c.learned(plan.ScaleAnswered{Controller: read.Controller.UID, Scale: scale})
	}
	return err
}

// scaleNow is how many replicas a controller of pods has. What does not change by
// itself, such as a permission that drainer lacks, is an answer, too.
func (c *Controller) scaleNow(ctx context.Context, read plan.ScaleRead) (plan.Scale, error) {
	uid, scale, err := scaleOf(ctx, c.Client, read)
	switch {
	case apierrors.IsNotFound(err), err == nil && uid != read.Controller.UID:
		return plan.Scale{Problem: "it is gone"}, nil
	case apierrors.IsForbidden(err):
		return plan.Scale{Problem: err.Error()}, nil
	case err != nil:
		return plan.Scale{}, fmt.Errorf("reading the scale of %s %s/%s: %w", read.Controller.Kind, read.Namespace, read.Controller.Name, err)
	}
	return scale, nil
}

// scalesOf reads the scales that the rules for the pods look at. Plans read only those of
// pods that they watch or foresee.
func (c *Controller) scalesOf(ctx context.Context, pods []*plan.Pod) (map[types.UID]plan.ScaleMemory, error) {
	scales := map[types.UID]plan.ScaleMemory{}
	for _, pod := range pods {
		if !pod.LooksAtScale() || scales[pod.Controller.UID].Scale != nil {
			continue
		}
		scale, err := c.scaleNow(ctx, plan.ScaleRead{Namespace: pod.Namespace, Controller: pod.Controller})
		if err != nil {
			return nil, err
		}
		scales[pod.Controller.UID] = plan.ScaleMemory{Scale: &scale}
	}
	return scales, nil
}

// scaleOf reads the UID and the scale of a controller for which plan.Owner.Scales is
// true.
func scaleOf(ctx context.Context, client kubernetes.Interface, read plan.ScaleRead) (types.UID, plan.Scale, error) {
	apps, name := client.AppsV1(), read.Controller.Name
	if read.Controller.Kind == "StatefulSet" {
		set, err := apps.StatefulSets(read.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", plan.Scale{}, err
		}
		return set.UID, plan.Scale{Replicas: replicas(set.Spec.Replicas)}, nil
	}
	set, err := apps.ReplicaSets(read.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", plan.Scale{}, err
	}
	return set.UID, plan.Scale{Replicas: replicas(set.Spec.Replicas)}, nil
}

// replicas is a scale; one that is not set is 1.
func replicas(set *int32) int32 {
	if set == nil {
		return 1
	}
	return *set
}
