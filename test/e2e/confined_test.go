package e2e

import (
	"context"
	"errors"
	"os"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// confineAll lets deploy's policies hold for drainer's account in every test.
func confineAll(ctx context.Context) error {
	policies, err := daemon.Confinements()
	if err != nil {
		return err
	}
	for _, p := range policies {
		p.Rename("e2e")
		p.Policy.Spec.MatchConditions[0].Expression = "request.userInfo.username.endsWith(':drainer')"
		if err := p.Create(ctx, shared.Client); err != nil {
			return err
		}
	}
	return awaitConfined(ctx)
}

// awaitConfined waits until the API server goes by the policies.
func awaitConfined(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(as("system:serviceaccount:any:drainer"))
	if err != nil {
		return err
	}
	const node = "confined"
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: node},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	if err := workload.Create(ctx, shared.Client, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, pod); err != nil {
		return err
	}
	waiter := await.Waiter{Progress: os.Stderr}
	err = waiter.Until(ctx, "drainer's accounts are confined", func() error {
		for _, attempt := range []func() error{
			func() error {
				_, err := client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`),
					metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
				return err
			},
			func() error {
				none := int64(0)
				return client.CoreV1().Pods("default").EvictV1(ctx, &policyv1.Eviction{
					ObjectMeta: metav1.ObjectMeta{Name: "none"}, DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: &none},
				})
			},
			func() error {
				return client.CoreV1().Pods("default").Delete(ctx, node, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
			},
		} {
			if err := attempt(); !apierrors.IsForbidden(err) {
				return await.NotYet("an attempt is answered with %v", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	none := int64(0)
	return errors.Join(
		shared.Client.CoreV1().Pods("default").Delete(ctx, node, metav1.DeleteOptions{GracePeriodSeconds: &none}),
		shared.Client.CoreV1().Nodes().Delete(ctx, node, metav1.DeleteOptions{}),
	)
}

// as is for a client that is the user, and to whom RBAC denies nothing.
func as(user string, groups ...string) *rest.Config {
	config := shared.Cluster.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:masters")}
	return config
}
