package e2e

import (
	"context"
	"encoding/json"
	"os/exec"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/suite"
)

// editBudget sets maxUnavailable.
func (e *env) editBudget(name, maxUnavailable string) {
	e.Helper()
	value := intstr.Parse(maxUnavailable)
	e.patchBudget(name, map[string]any{"maxUnavailable": &value})
}

func (e *env) patchBudget(name string, spec map[string]any) {
	e.Helper()
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		e.Fatal(err)
	}
	if _, err := shared.Client.PolicyV1().PodDisruptionBudgets(e.namespace).Patch(e.Context(), name, types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		e.Fatal(err)
	}
}

func (e *env) deleteBudget(name string) {
	e.Helper()
	if err := shared.Client.PolicyV1().PodDisruptionBudgets(e.namespace).Delete(e.Context(), name, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
}

// annotate sets annotations of a node; an empty value removes one.
func (e *env) annotate(node string, pairs ...string) {
	e.Helper()
	annotations := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		annotations[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			annotations[pairs[i]] = nil
		}
	}
	e.patchNode(node, map[string]any{"metadata": map[string]any{"annotations": annotations}})
}

func (e *env) patchNode(node string, patch any) {
	e.Helper()
	text, err := json.Marshal(patch)
	if err != nil {
		e.Fatal(err)
	}
	if _, err := shared.Client.CoreV1().Nodes().Patch(e.Context(), node, types.MergePatchType, text, metav1.PatchOptions{}); err != nil {
		e.Fatal(err)
	}
}

// request asks for a drain.
func (e *env) request(node, id string) {
	e.Helper()
	e.annotate(node, api.DrainAnnotation, id)
}

// cancel takes the request back.
func (e *env) cancel(node string) {
	e.Helper()
	e.annotate(node, api.DrainAnnotation, "")
}

func (e *env) kubectl(args ...string) {
	e.Helper()
	_, err := suite.Run(e, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, shared.Cluster.Kubectl(), append([]string{"--kubeconfig=" + shared.Cluster.Kubeconfig()}, args...)...)
	})
	if err != nil {
		e.Fatal(err)
	}
}

// rebind puts another ClusterRole in the place of deploy's.
func (e *env) rebind(role *rbacv1.ClusterRole) {
	e.Helper()
	client := shared.Client.RbacV1()
	if _, err := client.ClusterRoles().Create(e.Context(), role, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	binding, err := client.ClusterRoleBindings().Get(e.Context(), daemon.BindingName(e.namespace), metav1.GetOptions{})
	if err != nil {
		e.Fatal(err)
	}
	if err := client.ClusterRoleBindings().Delete(e.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
	binding.ResourceVersion, binding.UID, binding.RoleRef.Name = "", "", role.Name
	if _, err := client.ClusterRoleBindings().Create(e.Context(), binding, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
}
