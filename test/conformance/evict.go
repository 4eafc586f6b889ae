package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/retry"
)

// ErrOther is the error of a condition that gives something else than what is
// wanted, and still may give it.
var ErrOther = errors.New("it gives something else")

// evict sends one eviction and returns the answer.
func (r *runner) evict(ctx context.Context, alias string, o map[string]string) (string, error) {
	name, namespace := r.podName(alias), r.Namespace()
	if o["namespace"] != "" {
		namespace = o["namespace"]
	}
	e := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, DeleteOptions: r.deleteOptions(alias, o)}
	if o["body"] != "" {
		e.Name = o["body"]
	}
	create := &metav1.CreateOptions{}
	if o["dryRun"] != "" {
		create.DryRun, e.DeleteOptions.DryRun = []string{metav1.DryRunAll}, []string{metav1.DryRunAll}
	}
	result := r.Client().CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(name).SubResource("eviction").
		VersionedParams(create, scheme.ParameterCodec).Body(e).MaxRetries(0).Do(ctx)
	code := 0
	result.StatusCode(&code)
	return r.answer(code, result.Error())
}

func (r *runner) remove(ctx context.Context, alias string, o map[string]string) (string, error) {
	result := r.Client().CoreV1().RESTClient().Delete().Namespace(r.Namespace()).Resource("pods").Name(r.podName(alias)).
		Body(r.deleteOptions(alias, o)).MaxRetries(0).Do(ctx)
	code := 0
	result.StatusCode(&code)
	return r.answer(code, result.Error())
}

// podName is the real name of a pod of the script.
func (r *runner) podName(alias string) string {
	if pod := r.named[alias]; pod != nil {
		return pod.Name
	}
	return alias
}

func (r *runner) deleteOptions(alias string, o map[string]string) *metav1.DeleteOptions {
	d := &metav1.DeleteOptions{}
	if seconds, err := strconv.ParseInt(o["grace"], 10, 64); err == nil {
		d.GracePeriodSeconds = &seconds
	}
	p := metav1.Preconditions{}
	if uid := types.UID(o["uid"]); uid != "" {
		if uid == "own" {
			uid = r.named[alias].UID
		}
		p.UID = &uid
	}
	if version := o["version"]; version != "" {
		if version == "own" {
			version = r.named[alias].ResourceVersion
		}
		p.ResourceVersion = &version
	}
	if p != (metav1.Preconditions{}) {
		d.Preconditions = &p
	}
	return d
}

// answer writes an answer down: code, reason and message; Retry-After, what it
// is about, and the causes.
func (r *runner) answer(code int, err error) (string, error) {
	if err == nil {
		return strconv.Itoa(code), nil
	}
	status, is := err.(apierrors.APIStatus)
	if !is {
		return "", err
	}
	s := status.Status()
	lines := []string{fmt.Sprintf("%d %s: %s", s.Code, s.Reason, s.Message)}
	if s.Details != nil {
		if s.Details.RetryAfterSeconds > 0 {
			lines = append(lines, fmt.Sprintf("retry after %ds", s.Details.RetryAfterSeconds))
		}
		if s.Details.Kind != "" {
			lines = append(lines, strings.Join(strings.Fields(fmt.Sprintf("about %s %s %s", s.Details.Group, s.Details.Kind, s.Details.Name)), " "))
		}
		for _, c := range s.Details.Causes {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("cause %s: %s %s", c.Type, c.Message, c.Field)))
		}
	}
	return r.plain(strings.Join(lines, "\n")), nil
}

var recorded = regexp.MustCompile(`(UID|ResourceVersion) in record \([^)]*\)`)

// plain replaces what differs between sides or runs: names of pods and nodes,
// UIDs and versions.
func (r *runner) plain(text string) string {
	for alias, pod := range r.named {
		text = strings.ReplaceAll(text, `"`+pod.Name+`"`, `"`+alias+`"`)
		text = strings.ReplaceAll(text, " "+pod.Name, " "+alias)
	}
	text = strings.ReplaceAll(text, r.Namespace(), "NAMESPACE")
	return recorded.ReplaceAllString(text, "$1 in record (...)")
}

// budget creates a budget, or changes it. The disruption controller may write
// beside it.
func (r *runner) budget(ctx context.Context, name string, o map[string]string) error {
	budgets := r.Client().PolicyV1().PodDisruptionBudgets(r.Namespace())
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		b, err := budgets.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			b = &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace(), Name: name}, Spec: specOf(name, o)}
			_, err = budgets.Create(ctx, b, metav1.CreateOptions{})
			return err
		}
		if err != nil {
			return err
		}
		b.Spec = specOf(name, o)
		_, err = budgets.Update(ctx, b, metav1.UpdateOptions{})
		return err
	})
}

// specOf is the spec of a budget over the pods of the app of the same name, or
// as the options say.
func specOf(name string, o map[string]string) policyv1.PodDisruptionBudgetSpec {
	spec := policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}}
	for key, value := range o {
		number := intstr.Parse(value)
		switch key {
		case "minAvailable":
			spec.MinAvailable = &number
		case "maxUnavailable":
			spec.MaxUnavailable = &number
		case "app":
			spec.Selector.MatchLabels["app"] = value
		case "selector":
			spec.Selector = map[string]*metav1.LabelSelector{"all": {}, "null": nil}[value]
		case "policy":
			policy := policyv1.UnhealthyPodEvictionPolicyType(value)
			spec.UnhealthyPodEvictionPolicy = &policy
		}
	}
	return spec
}

// disrupt writes pods that do not exist into a budget's status.
func (r *runner) disrupt(ctx context.Context, name string, o map[string]string) error {
	n, err := strconv.Atoi(o["pods"])
	if err != nil {
		return err
	}
	budgets := r.Client().PolicyV1().PodDisruptionBudgets(r.Namespace())
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		b, err := budgets.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		b.Status.DisruptedPods = map[string]metav1.Time{}
		for i := range n {
			b.Status.DisruptedPods[fmt.Sprintf("pod-%d", i)] = b.CreationTimestamp
		}
		_, err = budgets.UpdateStatus(ctx, b, metav1.UpdateOptions{})
		return err
	})
}
