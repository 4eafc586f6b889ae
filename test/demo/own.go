package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// ownStage is the nodes that the user names, in the cluster of the context. It
// creates a namespace there, and changes nothing if a check fails. drainer gets
// the user's own permissions.
func (t target) ownStage(ctx context.Context) (*stage, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{CurrentContext: t.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading context %s of the kubeconfig: %w", t.context, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	s := &stage{client: client, context: t.context, nodes: t.nodes}
	if err := s.inspect(ctx); err != nil {
		return nil, err
	}
	n, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "drainer-demo-"},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("making a namespace: %w", err)
	}
	s.namespace = n.Name
	say("Made namespace %s at %s", s.namespace, config.Host)
	s.flags = append([]string{
		"--context=" + t.context, "--node-selector=" + corev1.LabelHostname + " in (" + strings.Join(s.hosts, ",") + ")",
	}, s.commonFlags()...)
	return s, nil
}

// inspect finds all reasons against the demonstration, and the hosts.
func (s *stage) inspect(ctx context.Context) error {
	list, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	byName := map[string]*corev1.Node{}
	hosts := map[string]int{}
	for i := range list.Items {
		byName[list.Items[i].Name] = &list.Items[i]
		hosts[list.Items[i].Labels[corev1.LabelHostname]]++
	}
	var wrong []error
	for i, name := range s.nodes {
		node := byName[name]
		if node == nil || slices.Contains(s.nodes[:i], name) {
			wrong = append(wrong, fmt.Errorf("node %s: expected one of the cluster, named once", name))
			continue
		}
		host := node.Labels[corev1.LabelHostname]
		if host == "" || hosts[host] > 1 {
			wrong = append(wrong, fmt.Errorf("node %s: expected a label %s=%q that no other node has", name, corev1.LabelHostname, host))
		}
		s.hosts = append(s.hosts, host)
		wrong = append(wrong, usable(node))
	}
	if err := errors.Join(append(wrong, s.otherDrainer(ctx))...); err != nil {
		return err
	}
	return s.inspectPods(ctx)
}

// usable says what is wrong with a node.
func usable(n *corev1.Node) error {
	if n.Spec.Unschedulable {
		return fmt.Errorf("node %s: is cordoned", n.Name)
	}
	for key := range n.Annotations {
		if strings.HasPrefix(key, "drainer.dev/") {
			return fmt.Errorf("node %s: has the annotation %s: another drain is under way, or was", n.Name, key)
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s: is not Ready", n.Name)
}

// otherDrainer looks for a drainer that may serve the nodes, too.
func (s *stage) otherDrainer(ctx context.Context) error {
	leases, err := s.client.CoordinationV1().Leases("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", "drainer").String(),
	})
	if err != nil {
		return fmt.Errorf("looking for another drainer's lease: %w", err)
	}
	for _, l := range leases.Items {
		holder, renewed := l.Spec.HolderIdentity, l.Spec.RenewTime
		if holder != nil && *holder != "" && renewed != nil && time.Since(renewed.Time) < time.Minute {
			return fmt.Errorf("%s leads a drainer of this cluster, with the lease %s/drainer: two must not serve the same nodes",
				*holder, l.Namespace)
		}
	}
	return nil
}

// inspectPods refuses nodes with pods that drainer would not evict, and says
// how many others leave.
func (s *stage) inspectPods(ctx context.Context) error {
	var wrong []error
	for _, node := range s.drained() {
		pods, err := s.podsOf(ctx, node)
		if err != nil {
			return err
		}
		leave := 0
		for i := range pods {
			if stays(&pods[i]) {
				continue
			}
			leave++
			if metav1.GetControllerOf(&pods[i]) == nil {
				wrong = append(wrong, fmt.Errorf("node %s: pod %s/%s has no controller and is not evicted", node, pods[i].Namespace, pods[i].Name))
			}
		}
		say("From node %s %d pods of yours are evicted, too", node, leave)
	}
	return errors.Join(wrong...)
}

// podsOf are the pods on a node, of all namespaces.
func (s *stage) podsOf(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", node, err)
	}
	return list.Items, nil
}

// stays is true for the pods of a DaemonSet, and for static ones.
func stays(p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	_, static := p.Annotations[corev1.MirrorPodAnnotationKey]
	return static || owner != nil && owner.Kind == "DaemonSet"
}
