package sim

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// statusOf is what a client sees of an answer.
func statusOf(a Answer) metav1.Status {
	var err apierrors.APIStatus
	if errors.As(a.Error, &err) {
		return err.Status()
	}
	return metav1.Status{Code: 201}
}

func causeOf(s metav1.Status) string {
	if s.Details == nil || len(s.Details.Causes) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s", s.Details.Causes[0].Type, s.Details.Causes[0].Message)
}

func ofUID(uid types.UID) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
}

type given func(*Cluster)

func status(change func(*policyv1.PodDisruptionBudgetStatus)) given {
	return func(c *Cluster) {
		b := c.Budget(web).DeepCopy()
		change(&b.Status)
		c.Put(Budgets, b)
	}
}

func phase(p corev1.PodPhase) given {
	return func(c *Cluster) { c.UpdatePod(pod, func(o *corev1.Pod) { o.Status.Phase = p }) }
}

func unready(c *Cluster) { c.UpdatePod(pod, func(p *corev1.Pod) { SetReady(p, false, noon) }) }

func policy(p policyv1.UnhealthyPodEvictionPolicyType) given {
	return func(c *Cluster) {
		c.UpdateBudget(web, func(s *policyv1.PodDisruptionBudgetSpec) { s.UnhealthyPodEvictionPolicy = &p })
	}
}

func synced(c *Cluster) { c.Advance(c.Now().Add(time.Second)) }

func second(c *Cluster) { c.AddBudget("shop", "web2", "web", maxUnavailable("3")) }

func exhaust(c *Cluster) {
	c.UpdateBudget(web, func(s *policyv1.PodDisruptionBudgetSpec) { *s = withSelector(s, maxUnavailable("0")) })
}

func withSelector(old *policyv1.PodDisruptionBudgetSpec, now policyv1.PodDisruptionBudgetSpec) policyv1.PodDisruptionBudgetSpec {
	now.Selector = old.Selector
	return now
}

func terminating(c *Cluster) { _ = c.DeletePod(pod, metav1.DeleteOptions{}) }

// TestEvict compares the answers with those of the API server: three pods of a
// Deployment of three, of which one may be unavailable.
func TestEvict(t *testing.T) {
	const (
		budget   = "DisruptionBudget: The disruption budget web "
		unsynced = budget + "is still being processed by the server."
	)
	for name, test := range map[string]struct {
		given         []given
		options       metav1.DeleteOptions
		code          int32
		reason        metav1.StatusReason
		cause         string
		retry         int32
		spent, leaves bool
		takes         time.Duration
	}{
		"admitted by its budget":     {given: []given{synced}, code: 201, spent: true, leaves: true},
		"no budget":                  {given: []given{func(c *Cluster) { c.Delete(Budgets, web) }}, code: 201, leaves: true},
		"budget exhausted":           {given: []given{exhaust, synced}, code: 429, reason: "TooManyRequests", cause: budget + "needs 3 healthy pods and has 3 currently"},
		"just spent, not recomputed": {given: []given{synced, status(func(s *policyv1.PodDisruptionBudgetStatus) { s.DisruptionsAllowed = 0 })}, code: 429, reason: "TooManyRequests", cause: budget + "does not allow evicting pods currently"},
		"sync failed": {given: []given{synced, func(c *Cluster) {
			b := c.Budget(web).DeepCopy()
			b.Status.DisruptionsAllowed = 0
			setAllowed(b, metav1.ConditionFalse, policyv1.SyncFailedReason, "boom", noon)
			c.Put(Budgets, b)
		}}, code: 429, reason: "TooManyRequests", cause: budget + "does not allow evicting pods currently because it failed sync: boom"},
		"not observed":                     {code: 429, reason: "TooManyRequests", cause: unsynced, retry: 10},
		"negative":                         {given: []given{synced, status(func(s *policyv1.PodDisruptionBudgetStatus) { s.DisruptionsAllowed = -1 })}, code: 403, reason: "Forbidden", cause: budget + "does not allow evicting pods currently: pdb disruptions allowed is negative"},
		"2000 disrupted":                   {given: []given{synced, disrupted(2000)}, code: 201, spent: true, leaves: true},
		"2001 disrupted":                   {given: []given{synced, disrupted(2001)}, code: 403, reason: "Forbidden", cause: budget + "does not allow evicting pods currently: too many pending evictions not confirmed by PDB controller"},
		"two budgets":                      {given: []given{second, synced}, code: 500},
		"two budgets, AlwaysAllow":         {given: []given{second, policy(policyv1.AlwaysAllow), unready, synced}, code: 500},
		"unready, healthy budget":          {given: []given{synced, unready}, code: 201, leaves: true},
		"unready, unhealthy budget":        {given: []given{exhaust, synced, unready, synced}, code: 429, reason: "TooManyRequests", cause: budget + "needs 3 healthy pods and has 2 currently"},
		"unready, AlwaysAllow":             {given: []given{exhaust, policy(policyv1.AlwaysAllow), synced, unready, synced}, code: 201, leaves: true},
		"unready, AlwaysAllow, unobserved": {given: []given{synced, unready, policy(policyv1.AlwaysAllow)}, code: 201, leaves: true},
		"unready, none desired": {given: []given{func(c *Cluster) {
			c.UpdateBudget(web, func(s *policyv1.PodDisruptionBudgetSpec) { *s = withSelector(s, minAvailable("0")) })
			for _, o := range c.podsIn("shop") {
				c.UpdatePod(keyOf(o), func(p *corev1.Pod) { SetReady(p, false, noon) })
			}
		}, synced}, code: 429, reason: "TooManyRequests", cause: budget + "needs 0 healthy pods and has 0 currently"},
		"pending":               {given: []given{exhaust, synced, phase(corev1.PodPending)}, code: 201, leaves: true},
		"succeeded":             {given: []given{exhaust, synced, phase(corev1.PodSucceeded)}, code: 201, leaves: true},
		"failed, two budgets":   {given: []given{second, synced, phase(corev1.PodFailed)}, code: 201, leaves: true},
		"unknown phase":         {given: []given{exhaust, synced, phase(corev1.PodUnknown)}, code: 429, reason: "TooManyRequests", cause: budget + "needs 3 healthy pods and has 3 currently"},
		"terminating":           {given: []given{exhaust, synced, terminating}, code: 201, leaves: true},
		"gone":                  {given: []given{func(c *Cluster) { c.Delete(Pods, pod) }}, code: 404, reason: "NotFound"},
		"namespace terminating": {given: []given{synced, func(c *Cluster) { c.Namespace("shop").Terminating = true }}, code: 403, reason: "Forbidden", cause: "NamespaceTerminating: namespace shop is being terminated"},
		"another UID, after the budget was spent": {given: []given{synced}, options: ofUID("other"), code: 409, reason: "Conflict", spent: true},
		"another UID, budget exhausted":           {given: []given{exhaust, synced}, options: ofUID("other"), code: 429, reason: "TooManyRequests", cause: budget + "needs 3 healthy pods and has 3 currently"},
		"another UID, pending":                    {given: []given{phase(corev1.PodPending)}, options: ofUID("other"), code: 409, reason: "Conflict", takes: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(1)
			run(c, Workload{Kind: Deployment, Replicas: 3}, 3, 0)
			c.AddBudget("shop", "web", "web", maxUnavailable("1"))
			for _, set := range test.given {
				set(c)
			}
			allowed := allowedBy(c)
			dry := statusOf(c.Evict(pod, test.options, true))
			if c.Pod(pod) != nil && c.Pod(pod).DeletionTimestamp != nil != (name == "terminating") || allowedBy(c) != allowed {
				t.Error("a dry run changes something")
			}
			a := c.Evict(pod, test.options, false)
			got := statusOf(a)
			if got.Code != test.code || got.Reason != test.reason || causeOf(got) != test.cause || a.Takes != test.takes {
				t.Errorf("answered %d %s (%s) after %v, want %d %s (%s) after %v", got.Code, got.Reason, causeOf(got), a.Takes, test.code, test.reason, test.cause, test.takes)
			}
			if dry.Code != got.Code || dry.Reason != got.Reason {
				t.Errorf("a dry run is answered %d %s, the eviction %d %s", dry.Code, dry.Reason, got.Code, got.Reason)
			}
			if got.Details != nil && got.Details.RetryAfterSeconds != test.retry {
				t.Errorf("Retry-After is %d, want %d", got.Details.RetryAfterSeconds, test.retry)
			}
			if spent := allowedBy(c) == allowed-1; spent != test.spent {
				t.Errorf("the budget was spent: %v, want %v", spent, test.spent)
			}
			left := c.Pod(pod)
			if leaves := left == nil || left.DeletionTimestamp != nil; leaves != test.leaves && test.code != 404 {
				t.Errorf("the pod leaves: %v, want %v", leaves, test.leaves)
			}
		})
	}
}

func allowedBy(c *Cluster) int32 {
	if b := c.Budget(web); b != nil {
		return b.Status.DisruptionsAllowed
	}
	return 0
}

func disrupted(pods int) given {
	return status(func(s *policyv1.PodDisruptionBudgetStatus) {
		s.DisruptedPods = map[string]metav1.Time{}
		for i := range pods {
			s.DisruptedPods[fmt.Sprintf("gone-%d", i)] = metav1.NewTime(noon)
		}
	})
}

// TestWebhook: the errors for webhooks have the API server's wording.
func TestWebhook(t *testing.T) {
	failed := statusOf(Answer{Error: WebhookFailed("w")})
	if failed.Code != 500 || failed.Reason != "InternalError" || failed.Message !=
		`Internal error occurred: failed calling webhook "w": failed to call webhook: context deadline exceeded` {
		t.Errorf("a webhook that fails is answered %+v", failed)
	}
	denied := statusOf(Answer{Error: WebhookDenied("w", "no", 429, 30*time.Second)})
	if denied.Code != 429 || denied.Message != `admission webhook "w" denied the request: no` || denied.Details.RetryAfterSeconds != 30 {
		t.Errorf("a webhook that denies is answered %+v", denied)
	}
}
