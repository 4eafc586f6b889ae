package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"drainer.dev/drainer/pkg/api"
)

// mostOrder bounds the orders that pods give themselves, in both directions.
const mostOrder = 1_000_000

// Claims are what the annotations of a pod say. They do not change once made.
type Claims struct {
	// Rules come before those of the configuration; none if the pod claims no action.
	Rules []*Rule
	// Order is the order that the pod gives itself; nil if it does not.
	Order *int
}

// listen lets the annotations of a pod count if its namespace is trusted. If that
// depends on the namespace's labels, plans decide.
func (r *Rules) listen(p *Pod, annotations map[string]string) {
	switch byName := anyLike(r.Trusted, p.Namespace); {
	case r.TrustedLabels != nil && (byName || len(r.Trusted) == 0):
		claims := readClaims(p.Instructions, annotations)
		p.Claims = &claims
	case r.TrustedLabels == nil && byName:
		p.obey(readClaims(p.Instructions, annotations))
	}
}

// obey lets what the annotations of a pod say count.
func (p *Pod) obey(c Claims) {
	p.Instructions, p.OwnOrder = nil, c.Order
	if c.Rules != nil {
		p.Rules = c.Rules
	}
}

// readClaims reads the annotations of a pod with these keys. If one of them cannot be
// read, the pod is blocked until its owner corrects it.
func readClaims(keys []string, annotations map[string]string) Claims {
	var c Claims
	for _, key := range keys {
		value := annotations[key]
		switch key {
		case api.PodActionAnnotation:
			action := Action(value)
			if !slices.Contains([]Action{EvictPod, IgnorePod, AwaitPod}, action) {
				return refusedClaims(key, value, "expected Evict, Ignore or WaitCompleted")
			}
			c.Rules = []*Rule{{Name: key, Action: action, own: true}}
		case api.PodOrderAnnotation:
			order, err := strconv.Atoi(value)
			if err != nil || order < -mostOrder || order > mostOrder {
				return refusedClaims(key, value, fmt.Sprintf("expected an integer from %d to %d", -mostOrder, mostOrder))
			}
			c.Order = &order
		default:
			return refusedClaims(key, value, "expected one of "+strings.Join([]string{api.PodActionAnnotation, api.PodOrderAnnotation}, ", "))
		}
	}
	return c
}

// refusedClaims block a pod with an annotation that cannot be read.
func refusedClaims(key, value, expected string) Claims {
	message := cut(fmt.Sprintf("its annotation %s=%q cannot be read: %s", key, cut(value, mostValue), expected), mostWords)
	return Claims{Rules: []*Rule{{Name: key, Action: BlockPod, message: message, own: true}}}
}

// mostValue bounds how much of a value is shown.
const mostValue = 64
