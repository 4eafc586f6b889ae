package daemon

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// deployUser is who drainer is where deploy is installed as it is.
const deployUser = "system:serviceaccount:drainer:drainer"

// Confinement is one of deploy's admission policies, and what binds it.
type Confinement struct {
	Policy  *admissionv1.ValidatingAdmissionPolicy
	Binding *admissionv1.ValidatingAdmissionPolicyBinding
}

// Confinements are those of deploy by their names.
func Confinements() (map[string]*Confinement, error) {
	objects, err := manifests()
	if err != nil {
		return nil, err
	}
	all := map[string]*Confinement{}
	for _, object := range objects {
		switch x := object.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			all[x.Name] = &Confinement{Policy: x}
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			// Its policy comes before it.
			all[x.Spec.PolicyName].Binding = x
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("deploy has no ValidatingAdmissionPolicy")
	}
	return all, nil
}

// Rename puts a suffix behind the names, so that policies can be side by side.
func (c *Confinement) Rename(suffix string) {
	c.Policy.Name += "-" + suffix
	c.Binding.Name, c.Binding.Spec.PolicyName = c.Policy.Name, c.Policy.Name
}

// Confine makes the policy one for another user than that of deploy.
func (c *Confinement) Confine(user string) error {
	condition := &c.Policy.Spec.MatchConditions[0]
	if !strings.Contains(condition.Expression, deployUser) {
		return fmt.Errorf("policy %s is not about %s but %s", c.Policy.Name, deployUser, condition.Expression)
	}
	condition.Expression = strings.ReplaceAll(condition.Expression, deployUser, user)
	return nil
}

// Create creates policy and binding. It takes a second or so until the API
// server goes by them.
func (c *Confinement) Create(ctx context.Context, client kubernetes.Interface) error {
	admission := client.AdmissionregistrationV1()
	if _, err := admission.ValidatingAdmissionPolicies().Create(ctx, c.Policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating policy %s: %w", c.Policy.Name, err)
	}
	if _, err := admission.ValidatingAdmissionPolicyBindings().Create(ctx, c.Binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("binding policy %s: %w", c.Policy.Name, err)
	}
	return nil
}

// Delete deletes policy and binding.
func (c *Confinement) Delete(ctx context.Context, client kubernetes.Interface) error {
	admission := client.AdmissionregistrationV1()
	if err := admission.ValidatingAdmissionPolicyBindings().Delete(ctx, c.Binding.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("unbinding policy %s: %w", c.Policy.Name, err)
	}
	if err := admission.ValidatingAdmissionPolicies().Delete(ctx, c.Policy.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting policy %s: %w", c.Policy.Name, err)
	}
	return nil
}
