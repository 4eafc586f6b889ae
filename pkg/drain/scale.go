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

// readScale reads how many replicas a controller of pods has. What does not change by
// itself, such as a permission that drainer lacks, is an answer, too.
func (c *Controller) readScale(ctx context.Context, read plan.ScaleRead) error {
	uid, scale, err := scaleOf(ctx, c.Client, read)
	switch {
	case apierrors.IsNotFound(err), err == nil && uid != read.Controller.UID:
		scale = plan.Scale{Problem: "it is gone"}
	case apierrors.IsForbidden(err):
		scale = plan.Scale{Problem: err.Error()}
	case err != nil:
		return fmt.Errorf("reading the scale of %s %s/%s: %w", read.Controller.Kind, read.Namespace, read.Controller.Name, err)
	}
	c.learned(plan.ScaleAnswered{Controller: read.Controller.UID, Scale: scale})
	return nil
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
