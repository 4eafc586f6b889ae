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

// obey lets the annotations of a pod in a trusted namespace count: they come
// before all rules. If one of them cannot be read, the pod is blocked until its
// owner corrects it.
func (p *Pod) obey(annotations map[string]string) {
	keys := p.Instructions
	p.Instructions = nil
	for _, key := range keys {
		value := annotations[key]
		switch key {
		case api.PodActionAnnotation:
			action := Action(value)
			if !slices.Contains([]Action{EvictPod, IgnorePod, AwaitPod}, action) {
				p.refuse(key, value, "expected Evict, Ignore or WaitCompleted")
				return
			}
			p.Rules = []*Rule{{Name: key, Action: action, own: true}}
		case api.PodOrderAnnotation:
			order, err := strconv.Atoi(value)
			if err != nil || order < -mostOrder || order > mostOrder {
				p.refuse(key, value, fmt.Sprintf("expected an integer from %d to %d", -mostOrder, mostOrder))
				return
			}
			p.OwnOrder = &order
		default:
			p.refuse(key, value, "expected one of "+strings.Join([]string{api.PodActionAnnotation, api.PodOrderAnnotation}, ", "))
			return
		}
	}
}

// refuse blocks a pod with an annotation that cannot be read.
func (p *Pod) refuse(key, value, expected string) {
	message := cut(fmt.Sprintf("its annotation %s=%q cannot be read: %s", key, cut(value, mostValue), expected), mostWords)
	p.Rules, p.OwnOrder = []*Rule{{Name: key, Action: BlockPod, message: message, own: true}}, nil
}

// mostValue bounds how much of a value is shown.
const mostValue = 64
