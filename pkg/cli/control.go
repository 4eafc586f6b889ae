package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
)

const (
	// defaultNamespace is where drainer runs, unless --namespace says otherwise.
	defaultNamespace = "drainer"
	// leaseName is the default name of drainer's lease.
	leaseName = "drainer"
)

// allFlags are the flags of pause and resume that are about everything.
type allFlags struct {
	all       bool
	reason    string
	overwrite bool
}

// withAll adds --all to a command about nodes.
func (s *shared) withAll(c *cobra.Command, nodes *simpleFlags, pauses bool) {
	var o allFlags
	c.Flags().BoolVar(&o.all, "all", false, "everything, in the whole cluster; --namespace says where drainer runs, by default "+defaultNamespace)
	if pauses {
		c.Flags().StringVar(&o.reason, "reason", "", "reason, shown to everyone whose drain waits; required with --all")
		c.Flags().BoolVar(&o.overwrite, "overwrite", false, "with --all: replace the reason of another pause")
	}
	ofNodes := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if !o.all {
			if o.reason != "" || o.overwrite {
				return usagef("--reason and --overwrite are for --all: a pause of single nodes has no reason")
			}
			return ofNodes(c, args)
		}
		if err := o.check(args, nodes, pauses); err != nil {
			return err
		}
		return s.runAll(c.Context(), &o, dryRun(nodes.dryRun), pauses)
	}
}

func (o *allFlags) check(args []string, nodes *simpleFlags, pauses bool) error {
	switch {
	case len(args) > 0 || nodes.selector != "" || nodes.id != "" || nodes.output.Format != "":
		return usagef("--all is about everything: use it without names, --selector, --id and --output")
	case pauses && strings.TrimSpace(o.reason) == "":
		return usagef("--all needs --reason=TEXT, which is shown to everyone whose drain waits, for example --reason='INC-42 database failover'")
	}
	if pauses {
		if _, err := api.PausedBy(map[string]string{api.ControlPaused: o.reason}); err != nil {
			return usagef("--reason=%q is not a reason such as INC-42", o.reason)
		}
	}
	return dryRun(nodes.dryRun).check()
}

// controlNamespace is where the ConfigMap is: drainer's own namespace, not that
// of the kubeconfig's context.
func (s *shared) controlNamespace() string {
	return cmp.Or(s.cluster.overrides.Context.Namespace, defaultNamespace)
}

func (s *shared) runAll(ctx context.Context, o *allFlags, try dryRun, pauses bool) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	namespace := s.controlNamespace()
	was, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, api.ControlName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		was = nil
	case err != nil:
		return fmt.Errorf("reading the ConfigMap %s/%s: %w", namespace, api.ControlName, err)
	}
	write := func() error { return s.writeControl(ctx, client, namespace, was, nil, try) }
	says := "everything is resumed"
	if pauses {
		reason := strings.Join(strings.Fields(o.reason), " ")
		if err := mayPause(was, reason, o.overwrite); err != nil {
			return err
		}
		says = "everything is paused: " + reason
		write = func() error { return s.writeControl(ctx, client, namespace, was, &reason, try) }
	} else if paused(was) == nil {
		if was == nil {
			if err := s.drainerAt(ctx, client, namespace, "everything may still be paused there"); err != nil {
				return fmt.Errorf("nothing is paused in the namespace %q, but %w", namespace, err)
			}
		}
		says = "nothing is paused"
		write = func() error { return nil }
	}
	if err := write(); err != nil {
		return err
	}
	s.printf("configmap/%s %s%s\n", api.ControlName, says, try.mark())
	return s.checkControl(ctx, client, namespace, try, pauses)
}

// paused is the value of the ConfigMap's key; nil if it has none.
func paused(m *corev1.ConfigMap) *string {
	if m == nil {
		return nil
	}
	if reason, is := m.Data[api.ControlPaused]; is {
		return &reason
	}
	return nil
}

// mayPause is an error if everything is paused for another reason: two who pause
// must not resume for each other.
func mayPause(was *corev1.ConfigMap, reason string, overwrite bool) error {
	if before := paused(was); before != nil && *before != reason && !overwrite {
		return fmt.Errorf("everything is paused already: %q. --overwrite replaces that reason with yours", *before)
	}
	return nil
}

// writeControl sets the key of the ConfigMap, or removes it if the reason is nil.
func (s *shared) writeControl(ctx context.Context, client kubernetes.Interface, namespace string, was *corev1.ConfigMap, reason *string, try dryRun) error {
	if try == clientDryRun {
		return nil
	}
	maps, o := client.CoreV1().ConfigMaps(namespace), try.options()
	if was == nil {
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: api.ControlName}, Data: map[string]string{api.ControlPaused: *reason}}
		if _, err := maps.Create(ctx, m, metav1.CreateOptions{FieldManager: o.FieldManager, DryRun: o.DryRun}); err != nil {
			return fmt.Errorf("creating the ConfigMap %s/%s: %w", namespace, api.ControlName, err)
		}
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": was.UID, "resourceVersion": was.ResourceVersion},
		"data":     map[string]*string{api.ControlPaused: reason},
	})
	if err != nil {
		return fmt.Errorf("writing the patch of the ConfigMap %s: %w", api.ControlName, err)
	}
	if _, err := maps.Patch(ctx, api.ControlName, types.MergePatchType, patch, o); err != nil {
		return fmt.Errorf("writing to the ConfigMap %s/%s: %w", namespace, api.ControlName, err)
	}
	return nil
}

// drainerAt is an error if drainer does not seem to run in the namespace: it says what
// follows if it runs in another one.
func (s *shared) drainerAt(ctx context.Context, client kubernetes.Interface, namespace, otherwise string) error {
	lease, err := client.CoordinationV1().Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	var problem string
	switch {
	case apierrors.IsNotFound(err):
		problem = fmt.Sprintf("there is no Lease %q in the namespace %q", leaseName, namespace)
	case err != nil:
		s.notef("Warning: cannot check whether drainer runs in the namespace %s: %v\n", namespace, err)
		return nil
	default:
		problem = abandoned(lease, s.Now())
	}
	if problem == "" {
		return nil
	}
	return fmt.Errorf("%s: if drainer runs in another namespace, %s: repeat the command with --namespace=NAMESPACE. "+
		"If it runs in this one, with another Lease or none, ignore this message", problem, otherwise)
}

// abandonedAfter is how long nobody has renewed a lease that nobody holds. It is
// longer than a lease lasts, than an upgrade takes, and than clocks differ.
const abandonedAfter = 10 * time.Minute

// abandoned says that nobody renews the lease; empty if somebody does.
func abandoned(lease *coordinationv1.Lease, now time.Time) string {
	when := "never"
	if renewed := lease.Spec.RenewTime; renewed != nil {
		if now.Sub(renewed.Time) <= abandonedAfter {
			return ""
		}
		when = renewed.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("drainer does not renew its Lease %q in the namespace %q, so it does not run there (last renewed: %s)",
		lease.Name, lease.Namespace, when)
}

// checkControl checks that the write has its intended effect: that the ConfigMap is in the
// namespace of a running drainer, and that nothing else in it pauses.
func (s *shared) checkControl(ctx context.Context, client kubernetes.Interface, namespace string, try dryRun, pauses bool) error {
	if pauses {
		return s.drainerAt(ctx, client, namespace, "NOTHING IS PAUSED")
	}
	if try != noDryRun {
		return nil
	}
	m, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, api.ControlName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the ConfigMap %s/%s again: %w", namespace, api.ControlName, err)
	}
	switch reason, err := api.PausedBy(m.Data); {
	case err != nil:
		return fmt.Errorf("everything is still paused, because of a mistake in the ConfigMap %s/%s: %w", namespace, api.ControlName, err)
	case reason != "":
		return fmt.Errorf("everything is paused again by the ConfigMap %s/%s: %s", namespace, api.ControlName, reason)
	}
	return nil
}
