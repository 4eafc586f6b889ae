package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Command makes a dump.
const Command = "kubectl get nodes,pods,pdb,deploy,rs,sts,ds -A -o json"

// Objects are those of a cluster from which a forecast is made.
type Objects struct {
	Nodes        []corev1.Node
	Pods         []corev1.Pod
	Budgets      []policyv1.PodDisruptionBudget
	Deployments  []appsv1.Deployment
	ReplicaSets  []appsv1.ReplicaSet
	StatefulSets []appsv1.StatefulSet
	// DaemonSets may be empty although there are some: then every DaemonSet that a
	// pod names is assumed to exist.
	DaemonSets []appsv1.DaemonSet
	// Namespaces are there if rules look at their labels.
	Namespaces []corev1.Namespace
}

// list is a List of any kind.
type list struct {
	metav1.TypeMeta
	Items []json.RawMessage `json:"items"`
}

// ReadDump reads what Command prints: one List of JSON, or several, one after
// the other. Objects of other kinds are left out.
func ReadDump(r io.Reader) (*Objects, error) {
	o := &Objects{}
	decoder := json.NewDecoder(r)
	for lists := 0; ; lists++ {
		var l list
		err := decoder.Decode(&l)
		switch {
		case errors.Is(err, io.EOF) && lists > 0:
			return o, o.complete()
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("the dump is empty, expected the output of: %s", Command)
		case err != nil:
			return nil, fmt.Errorf("the dump is not JSON (%w), expected the output of: %s", err, Command)
		case !strings.HasSuffix(l.Kind, "List"):
			return nil, fmt.Errorf("the dump holds an object of kind %q, expected a List: the output of: %s", l.Kind, Command)
		}
		for i, item := range l.Items {
			if err := o.add(item, strings.TrimSuffix(l.Kind, "List")); err != nil {
				return nil, fmt.Errorf("reading item %d of the dump: %w", i, err)
			}
		}
	}
}

// add reads an object; kind is that of a typed list, whose items have none.
func (o *Objects) add(item json.RawMessage, kind string) error {
	var meta metav1.TypeMeta
	if err := json.Unmarshal(item, &meta); err != nil {
		return err
	}
	if meta.Kind != "" {
		kind = meta.Kind
	}
	switch kind {
	case "Node":
		return appendTo(&o.Nodes, item)
	case "Pod":
		return appendTo(&o.Pods, item)
	case "PodDisruptionBudget":
		return appendTo(&o.Budgets, item)
	case "Deployment":
		return appendTo(&o.Deployments, item)
	case "ReplicaSet":
		return appendTo(&o.ReplicaSets, item)
	case "StatefulSet":
		return appendTo(&o.StatefulSets, item)
	case "Namespace":
		return appendTo(&o.Namespaces, item)
	case "DaemonSet":
		return appendTo(&o.DaemonSets, item)
	default:
		return nil
	}
}

func appendTo[T any](list *[]T, item json.RawMessage) error {
	var o T
	if err := json.Unmarshal(item, &o); err != nil {
		return err
	}
	*list = append(*list, o)
	return nil
}

// complete is an error if a kind is missing that a forecast needs.
func (o *Objects) complete() error {
	switch {
	case len(o.Nodes) == 0:
		return fmt.Errorf("the dump has no Node, expected the output of: %s", Command)
	case len(o.Pods) == 0:
		return fmt.Errorf("the dump has no Pod, expected the output of: %s", Command)
	}
	for i := range o.Pods {
		pod := &o.Pods[i]
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner == nil {
			continue
		}
		if owner.Kind == "ReplicaSet" && len(o.ReplicaSets) == 0 || owner.Kind == "StatefulSet" && len(o.StatefulSets) == 0 {
			return fmt.Errorf("the dump has no %s, but pod %s/%s is controlled by one: expected the output of: %s",
				owner.Kind, pod.Namespace, pod.Name, Command)
		}
	}
	return nil
}
