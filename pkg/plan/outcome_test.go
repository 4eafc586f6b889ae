package plan

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// answer is what an API server, or a proxy before it, says to an eviction.
type answer struct {
	code   int
	status *metav1.Status
	text   string // instead of a Status
	// retryAfter is the header's; client-go reads it where there is no Status.
	retryAfter int
}

// err is what client-go makes of the answer; pkg/drain tests that it does.
func (a answer) err() error {
	switch {
	case a.status == nil:
		return apierrors.NewGenericServerResponse(a.code, "POST", schema.GroupResource{Resource: "pods"}, "x", a.text, a.retryAfter, true)
	case a.status.Status == metav1.StatusSuccess:
		return nil
	default:
		status := *a.status
		status.Status, status.Code = metav1.StatusFailure, int32(a.code)
		return apierrors.FromObject(&status)
	}
}

func failure(reason metav1.StatusReason, message string, details *metav1.StatusDetails) *metav1.Status {
	return &metav1.Status{Reason: reason, Message: message, Details: details}
}

func budgetCause(message string, retryAfter int32) *metav1.StatusDetails {
	return &metav1.StatusDetails{
		RetryAfterSeconds: retryAfter,
		Causes:            []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: message}},
	}
}

// TestOutcomeOf follows the answers that a 1.37 API server, its webhooks and
// the proxies before it are known to give.
func TestOutcomeOf(t *testing.T) {
	const pdbText = "Cannot evict pod as it would violate the pod's disruption budget."
	pods := &metav1.StatusDetails{Name: "x", Kind: "pods"}
	budgets := &metav1.StatusDetails{Name: "p", Group: "policy", Kind: "poddisruptionbudgets"}
	for name, test := range map[string]struct {
		answer
		reason     Reason
		retryAfter time.Duration
		message    string
	}{
		"admitted": {answer{code: 201, status: &metav1.Status{Status: metav1.StatusSuccess}}, Admitted, 0, ""},
		"any 2xx":  {answer{code: 200, status: &metav1.Status{Status: metav1.StatusSuccess}}, Admitted, 0, ""},
		"budget used up": {
			answer{code: 429, status: failure(metav1.StatusReasonTooManyRequests, pdbText,
				budgetCause("The disruption budget p needs 2 healthy pods and has 2 currently", 0))},
			BudgetExhausted, 0, "The disruption budget p needs 2 healthy pods and has 2 currently",
		},
		"budget not observed": {
			answer{code: 429, retryAfter: 10, status: failure(metav1.StatusReasonTooManyRequests, pdbText,
				budgetCause("The disruption budget p is still being processed by the server.", 10))},
			BudgetUnsynced, 10 * time.Second, "The disruption budget p is still being processed by the server.",
		},
		"budget failed to sync": {
			answer{code: 429, status: failure(metav1.StatusReasonTooManyRequests, pdbText,
				budgetCause("The disruption budget p does not allow evicting pods currently because it failed sync: no scale", 0))},
			BudgetSyncFailed, 0, "The disruption budget p does not allow evicting pods currently because it failed sync: no scale",
		},
		"budget forbids, 1.37": {
			answer{code: 403, status: failure(metav1.StatusReasonForbidden,
				`poddisruptionbudget.policy "p" is forbidden: pdb disruptions allowed is negative`,
				budgetCause("The disruption budget p does not allow evicting pods currently: pdb disruptions allowed is negative", 0))},
			BudgetExhausted, 0, "The disruption budget p does not allow evicting pods currently: pdb disruptions allowed is negative",
		},
		"budget forbids, 1.36": {
			answer{code: 403, status: failure(metav1.StatusReasonForbidden,
				`poddisruptionbudget.policy "p" is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller`, nil)},
			BudgetExhausted, 0, `poddisruptionbudget.policy "p" is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller`,
		},
		"two budgets": {
			answer{code: 500, status: failure("",
				"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.", nil)},
			MultipleBudgets, 0, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		},
		"pod is gone":       {answer{code: 404, status: failure(metav1.StatusReasonNotFound, `pods "x" not found`, pods)}, Gone, 0, `pods "x" not found`},
		"namespace is gone": {answer{code: 404, status: failure(metav1.StatusReasonNotFound, `namespaces "ns" not found`, &metav1.StatusDetails{Name: "ns", Kind: "namespaces"})}, Gone, 0, `namespaces "ns" not found`},
		"budget is gone": {
			answer{code: 404, status: failure(metav1.StatusReasonNotFound, `poddisruptionbudgets.policy "p" not found`, budgets)},
			Contention, 0, `poddisruptionbudgets.policy "p" not found`,
		},
		"no such path": {answer{code: 404, text: "404 page not found"}, ServerError, 0, "the server could not find the requested resource (post pods x)"},
		"namespace is terminating": {
			answer{code: 403, status: failure(metav1.StatusReasonForbidden,
				`pods "x" is forbidden: unable to create new content in namespace ns because it is being terminated`,
				&metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "NamespaceTerminating"}}})},
			NamespaceTerminating, 0, `pods "x" is forbidden: unable to create new content in namespace ns because it is being terminated`,
		},
		"another pod of that name": {answer{code: 409, status: failure(metav1.StatusReasonConflict,
			`Operation cannot be fulfilled on Pod "x": the UID in the precondition (u1) does not match the UID in record (u2). The object might have been deleted and then recreated`,
			&metav1.StatusDetails{Kind: "Pod", Name: "x"})}, Gone, 0, ""},
		"contention for a budget": {answer{code: 409, status: failure(metav1.StatusReasonConflict,
			`Operation cannot be fulfilled on poddisruptionbudgets.policy "p": the object has been modified`, budgets)}, Contention, 0, ""},
		"priority and fairness":    {answer{code: 429, retryAfter: 3, text: "Too many requests, please try again later."}, Throttled, 3 * time.Second, ""},
		"throttled, no time given": {answer{code: 429, text: "Too many requests, please try again later."}, Throttled, time.Second, ""},
		"a time before now":        {answer{code: 429, retryAfter: -7, text: "Too many requests, please try again later."}, Throttled, time.Second, ""},
		"shutting down":            {answer{code: 429, retryAfter: 5, text: "The apiserver is shutting down, please try again later."}, Throttled, 5 * time.Second, ""},
		"late in shutdown": {answer{code: 503, retryAfter: 1, status: failure(metav1.StatusReasonServiceUnavailable, "apiserver is shutting down",
			&metav1.StatusDetails{RetryAfterSeconds: 1})}, Throttled, time.Second, ""},
		"unavailable, no time given": {answer{code: 503, status: failure(metav1.StatusReasonServiceUnavailable, "no backend", nil)}, ServerError, 0, "no backend"},
		"storage is initializing": {answer{code: 429, retryAfter: 1, status: failure(metav1.StatusReasonTooManyRequests, "storage is (re)initializing",
			&metav1.StatusDetails{RetryAfterSeconds: 1})}, Throttled, time.Second, ""},
		"webhook denies with 429": {answer{code: 429, retryAfter: 7, status: failure(metav1.StatusReasonTooManyRequests,
			`admission webhook "w.example.com" denied the request: busy`, &metav1.StatusDetails{RetryAfterSeconds: 7})}, Evacuating, 7 * time.Second, ""},
		"webhook denies with 429, no time given": {
			answer{code: 429, status: failure("", `admission webhook "w.example.com" denied the request: Eviction triggered evacuation of VMI "ns/vm"`, nil)},
			Evacuating, 0, `admission webhook "w.example.com" denied the request: Eviction triggered evacuation of VMI "ns/vm"`,
		},
		"webhook denies with 429 as a budget does": {
			answer{code: 429, status: failure(metav1.StatusReasonTooManyRequests,
				`admission webhook "w.example.com" denied the request: migrating`, budgetCause("The disruption budget p needs 2 healthy pods and has 2 currently", 0))},
			Evacuating, 0, `admission webhook "w.example.com" denied the request: migrating`,
		},
		"webhook denies because another is down": {answer{code: 429, status: failure("",
			`admission webhook "w.example.com" denied the request: failed calling webhook "v"`, nil)}, Evacuating, 0, ""},
		"webhook denies with 500": {answer{code: 500, status: failure("", `admission webhook "w.example.com" denied the request: no`, nil)}, Webhook, 0, ""},
		"webhook denies with 400": {answer{code: 400, status: failure("", `admission webhook "w.example.com" denied the request without explanation`, nil)}, Webhook, 0, ""},
		"webhook denies with 404": {answer{code: 404, status: failure(metav1.StatusReasonNotFound, `admission webhook "w.example.com" denied the request: x`, pods)}, Webhook, 0, ""},
		"webhook is down": {answer{code: 500, status: failure(metav1.StatusReasonInternalError,
			`Internal error occurred: failed calling webhook "w.example.com": connection refused`, nil)}, Webhook, 0, ""},
		"admission policy denies": {answer{code: 422, status: failure(metav1.StatusReasonInvalid,
			`pods "x" is forbidden: ValidatingAdmissionPolicy 'P' with binding 'B' denied request: no`, nil)}, Invalid, 0, ""},
		"admission policy denies with 403": {answer{code: 403, status: failure(metav1.StatusReasonForbidden,
			`pods "x" is forbidden: ValidatingAdmissionPolicy 'P' with binding 'B' denied request: no`, nil)}, Invalid, 0, ""},
		"no permission": {answer{code: 403, status: failure(metav1.StatusReasonForbidden,
			`pods "x" is forbidden: User "u" cannot create resource "pods/eviction" in API group "" in the namespace "ns"`, pods)}, Forbidden, 0, ""},
		"bad token":         {answer{code: 401, status: failure(metav1.StatusReasonUnauthorized, "Unauthorized", nil)}, Forbidden, 0, ""},
		"bad request":       {answer{code: 400, status: failure(metav1.StatusReasonBadRequest, "name in URL does not match name in Eviction object", nil)}, Invalid, 0, ""},
		"handler deadline":  {answer{code: 504, status: failure(metav1.StatusReasonTimeout, "Timeout: request did not complete within requested timeout", nil)}, Unknown, 0, ""},
		"storage timeout":   {answer{code: 500, retryAfter: 2, status: failure(metav1.StatusReasonServerTimeout, "The list operation could not be completed", &metav1.StatusDetails{RetryAfterSeconds: 2})}, Unknown, 2 * time.Second, ""},
		"etcd's error":      {answer{code: 500, status: failure("", "etcdserver: request timed out", nil)}, ServerError, 0, ""},
		"proxy without API": {answer{code: 502, text: "Bad Gateway"}, ServerError, 0, ""},
		"proxy gave up":     {answer{code: 504, text: "Gateway Timeout"}, Unknown, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := OutcomeOf(test.code, test.err())
			if got.Reason != test.reason || got.Code != fmt.Sprint(test.code) || got.RetryAfter != test.retryAfter {
				t.Errorf("got %+v, want reason %s, code %d, retry after %v", got, test.reason, test.code, test.retryAfter)
			}
			if test.message != "" && got.Message != test.message {
				t.Errorf("message %q, want %q", got.Message, test.message)
			}
			if known := slices.Contains(KnownAnswers(), Answer{got.Code, got.Reason}); !known && test.code != 200 &&
				name != "webhook denies with 404" && name != "admission policy denies with 403" && name != "no such path" {
				t.Errorf("(%s, %s) is not among the known answers", got.Code, got.Reason)
			}
		})
	}
}

// TestOutcomeOfNoAnswer: no answer says nothing about the eviction.
func TestOutcomeOfNoAnswer(t *testing.T) {
	for name, err := range map[string]error{
		"connection lost":  errors.New("EOF"),
		"a Status of none": &apierrors.StatusError{ErrStatus: metav1.Status{Message: "EOF"}},
	} {
		if got := OutcomeOf(0, err); got.Reason != Unknown || got.Code != NoAnswer || got.Message != "EOF" {
			t.Errorf("%s: got %+v, want an unknown outcome", name, got)
		}
	}
}

// TestOutcomeCode: the Status says which code it was, and where it does not, as
// what some proxies make up, the response does.
func TestOutcomeCode(t *testing.T) {
	for name, test := range map[string]struct {
		ofResponse, ofStatus int
		want                 string
		reason               Reason
	}{
		"only the response": {429, 0, "429", Throttled},
		"only the Status":   {0, 429, "429", Throttled},
		"both":              {200, 500, "500", ServerError},
	} {
		err := &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: int32(test.ofStatus), Message: "no"}}
		if got := OutcomeOf(test.ofResponse, err); got.Code != test.want || got.Reason != test.reason {
			t.Errorf("%s: got %+v, want %s and code %s", name, got, test.reason, test.want)
		}
	}
}
