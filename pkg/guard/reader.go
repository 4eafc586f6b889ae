package guard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

const (
	// answerFor is how long an answer about a client holds: as long as
	// Kubernetes' own components remember theirs.
	answerFor = 10 * time.Second
	// mostAnswers bounds how many are remembered.
	mostAnswers = 1000
	// askFor is how long the API server may take for one.
	askFor = 5 * time.Second
)

// Readers lets through clients that the API server knows by their bearer token
// and that may get the path, as a nonResourceURL in RBAC: everybody else gets 401
// or 403, and 503 while the API server does not answer.
type Readers struct {
	client  kubernetes.Interface
	next    http.Handler
	answers *cache.LRUExpireCache
}

// NewReaders asks through the client, which needs to create TokenReviews and
// SubjectAccessReviews.
func NewReaders(client kubernetes.Interface, next http.Handler) *Readers {
	return &Readers{client: client, next: next, answers: cache.NewLRUExpireCache(mostAnswers)}
}

// question is what is asked about a client. A token itself is not kept.
type question struct {
	token        [sha256.Size]byte
	method, path string
}

// ServeHTTP implements http.Handler.
func (r *Readers) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token, found := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !found || token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "expected a bearer token of the cluster", http.StatusUnauthorized)
		return
	}
	q := question{token: sha256.Sum256([]byte(token)), method: req.Method, path: req.URL.Path}
	status, known := r.answers.Get(q)
	if !known {
		var err error
		if status, err = r.ask(req, token); err != nil {
			if req.Context().Err() == nil { // The client still waits.
				klog.FromContext(req.Context()).Error(err, "Cannot tell whether a client may read", "path", q.path)
			}
			http.Error(w, "the API server did not answer who you are and what you may read", http.StatusServiceUnavailable)
			return
		}
		r.answers.Add(q, status, answerFor)
	}
	switch status {
	case http.StatusOK:
		r.next.ServeHTTP(w, req)
	case http.StatusForbidden:
		http.Error(w, "expected the permission to "+verb(req.Method)+" the nonResourceURL "+q.path, http.StatusForbidden)
	default:
		http.Error(w, "expected a valid bearer token of the cluster", http.StatusUnauthorized)
	}
}

// ask finds the status for a request with the token.
func (r *Readers) ask(req *http.Request, token string) (any, error) {
	ctx, cancel := context.WithTimeout(req.Context(), askFor)
	defer cancel()
	review, err := r.client.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("reviewing a client's token: %w", err)
	}
	if !review.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := review.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	access, err := r.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: req.URL.Path, Verb: verb(req.Method)},
		},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reviewing whether %s may read: %w", user.Username, err)
	case access.Status.Allowed:
		return http.StatusOK, nil
	default:
		return http.StatusForbidden, nil
	}
}

// verb is a request's in RBAC.
func verb(method string) string { return strings.ToLower(method) }
