package plan

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Outcome is the result of one POST to pods/eviction.
type Outcome struct {
	Reason Reason
	// Code is the HTTP status, or "error" if there was no answer.
	Code string
	// Message is the server's own words: its cause if it gave one.
	Message string
	// RetryAfter is how long the server asked to wait, at most RetryAfterMost;
	// 0 if it did not ask.
	RetryAfter time.Duration
	// Asked is what the server asked for, without a bound.
	Asked time.Duration
}

// RetryAfterMost bounds how long an answer can keep drainer waiting: a proxy
// that is down for maintenance may ask for a day.
const RetryAfterMost = 5 * time.Minute

// NoAnswer is the code of a request that got none.
const NoAnswer = "error"

// Texts by which the API server's answers are told apart where nothing else
// does (registry/core/pod/storage/eviction.go, apiserver's webhook dispatcher).
const (
	multipleBudgetsText = "This pod has more than one PodDisruptionBudget"
	webhookDeniedText   = `admission webhook "`
	webhookFailedText   = "failed calling webhook"
	uidMismatchText     = "UID in the precondition"
	syncFailedText      = "failed sync"
	budgetForbiddenText = "poddisruptionbudget"
	policyDeniedText    = "ValidatingAdmissionPolicy"
)

// OutcomeOf classifies the answer to an eviction: the HTTP status, 0 if there
// was none, and the error that client-go made of it, nil on success.
func OutcomeOf(code int, err error) Outcome {
	if err == nil {
		return Outcome{Reason: Admitted, Code: strconv.Itoa(code)}
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return Outcome{Reason: Unknown, Code: NoAnswer, Message: err.Error()}
	}
	status := answer.Status()
	if status.Code != 0 {
		code = int(status.Code)
	}
	if code == 0 {
		return Outcome{Reason: Unknown, Code: NoAnswer, Message: err.Error()}
	}
	asked := retryAfter(status)
	outcome := Outcome{Code: strconv.Itoa(code), Message: messageOf(status), RetryAfter: min(asked, RetryAfterMost), Asked: asked}
	outcome.Reason = reasonOf(code, status)
	if outcome.Reason == Throttled && outcome.RetryAfter == 0 {
		outcome.RetryAfter = time.Second
	}
	return outcome
}

func reasonOf(code int, status metav1.Status) Reason {
	switch {
	// A webhook may answer with any code and any cause, so it comes first.
	case strings.HasPrefix(status.Message, webhookDeniedText):
		return denialReason(code)
	case strings.Contains(status.Message, webhookFailedText):
		return Webhook
	case code == http.StatusGatewayTimeout, status.Reason == metav1.StatusReasonServerTimeout, status.Reason == metav1.StatusReasonTimeout:
		return Unknown
	case hasCause(status, policyv1.DisruptionBudgetCause):
		return budgetReason(status)
	}
	switch code {
	case http.StatusTooManyRequests:
		return Throttled
	case http.StatusNotFound:
		return notFoundReason(status)
	case http.StatusConflict:
		if strings.Contains(status.Message, uidMismatchText) {
			return Gone
		}
		return Contention
	case http.StatusForbidden:
		return forbiddenReason(status)
	case http.StatusUnauthorized:
		return Forbidden
	case http.StatusServiceUnavailable:
		if retryAfter(status) > 0 {
			return Throttled
		}
		return ServerError
	}
	return otherReason(code, status)
}

// denialReason tells apart a webhook that refuses the eviction and one that asks to
// wait: KubeVirt does so while it migrates the virtual machine of the pod.
func denialReason(code int) Reason {
	if code == http.StatusTooManyRequests {
		return Evacuating
	}
	return Webhook
}

func otherReason(code int, status metav1.Status) Reason {
	switch {
	case code == http.StatusInternalServerError && strings.HasPrefix(status.Message, multipleBudgetsText):
		return MultipleBudgets
	case code >= 500:
		return ServerError
	default:
		return Invalid
	}
}

// budgetReason tells apart a budget that is used up, one that the disruption
// controller has not processed (also: the pod changed while it was evicted)
// and one that it cannot process.
func budgetReason(status metav1.Status) Reason {
	switch {
	case strings.Contains(messageOf(status), syncFailedText):
		return BudgetSyncFailed
	case retryAfter(status) > 0:
		return BudgetUnsynced
	default:
		return BudgetExhausted
	}
}

// notFoundReason: a 404 about a budget that was deleted in the meantime is not a pod
// that is gone, and neither is one from a server without this path.
func notFoundReason(status metav1.Status) Reason {
	kind := ""
	if status.Details != nil {
		kind = status.Details.Kind
	}
	switch {
	case hasCause(status, metav1.CauseTypeUnexpectedServerResponse):
		return ServerError
	case kind == "poddisruptionbudgets":
		return Contention
	default:
		return Gone
	}
}

func forbiddenReason(status metav1.Status) Reason {
	switch {
	case hasCause(status, corev1.NamespaceTerminatingCause):
		return NamespaceTerminating
	// Up to 1.36 a budget's 403 has no cause.
	case strings.HasPrefix(status.Message, budgetForbiddenText):
		return BudgetExhausted
	case strings.Contains(status.Message, policyDeniedText):
		return Invalid
	default:
		return Forbidden
	}
}

func hasCause(status metav1.Status, want metav1.CauseType) bool {
	if status.Details == nil {
		return false
	}
	for _, cause := range status.Details.Causes {
		if cause.Type == want {
			return true
		}
	}
	return false
}

// messageOf prefers a budget's cause: the message itself does not name it. A webhook's
// message names the webhook, whatever cause it gives.
func messageOf(status metav1.Status) string {
	if status.Details != nil && !strings.HasPrefix(status.Message, webhookDeniedText) {
		for _, cause := range status.Details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause && cause.Message != "" {
				return cause.Message
			}
		}
	}
	return status.Message
}

// retryAfter is how long the server asks to wait. A time before now, which no
// server should ask for, is none.
func retryAfter(status metav1.Status) time.Duration {
	if status.Details == nil {
		return 0
	}
	return time.Duration(max(0, status.Details.RetryAfterSeconds)) * time.Second
}

// Answer is an HTTP code and the reason that it is given for.
type Answer struct {
	Code   string
	Reason Reason
}

// KnownAnswers lists the answers that can be named before they come.
func KnownAnswers() []Answer {
	return []Answer{
		{"201", Admitted},
		{"404", Gone},
		{"409", Gone},
		{"429", BudgetExhausted},
		{"403", BudgetExhausted},
		{"429", BudgetUnsynced},
		{"429", BudgetSyncFailed},
		{"500", MultipleBudgets},
		{"404", Contention},
		{"409", Contention},
		{"429", Throttled},
		{"503", Throttled},
		{"500", Webhook},
		{"400", Webhook},
		{"429", Evacuating},
		{"401", Forbidden},
		{"403", Forbidden},
		{"403", NamespaceTerminating},
		{NoAnswer, Unknown},
		{"504", Unknown},
		{"500", Unknown},
		{"400", Invalid},
		{"422", Invalid},
		{"500", ServerError},
		{"502", ServerError},
		{"503", ServerError},
	}
}

const (
	budgetBackoff     = 200 * time.Millisecond
	budgetBackoffMost = 30 * time.Second
	errorBackoff      = time.Second
	errorBackoffMost  = 5 * time.Minute
	contentionBackoff = 500 * time.Millisecond
	contentionMost    = 10 * time.Second
	namespaceBackoff  = 5 * time.Second
	namespaceMost     = time.Minute
	// A workload takes at least seconds to move, and nothing tells drainer when the
	// webhook would allow the eviction after all.
	evacuationBackoff = 5 * time.Second
	evacuationMost    = time.Minute
	configBackoff     = 30 * time.Second
)

// wait is how long a pod is not sent again after its refusals-th refusal in a
// row. Throttling is not the pod's fault and costs it nothing.
func (o Outcome) wait(refusals int) time.Duration {
	again := max(0, refusals-1)
	var d time.Duration
	switch o.Reason {
	case Throttled:
		return 0
	case BudgetExhausted, BudgetUnsynced, BudgetSyncFailed:
		d = doubled(budgetBackoff, again, budgetBackoffMost)
	case Contention:
		d = doubled(contentionBackoff, again, contentionMost)
	case NamespaceTerminating:
		d = doubled(namespaceBackoff, again, namespaceMost)
	case Evacuating:
		d = doubled(evacuationBackoff, again, evacuationMost)
	case Forbidden, Invalid:
		d = doubled(configBackoff, again, errorBackoffMost)
	default:
		d = doubled(errorBackoff, again, errorBackoffMost)
	}
	return max(d, o.RetryAfter)
}
