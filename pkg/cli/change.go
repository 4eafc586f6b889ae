package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
)

// change is what to do to a node's annotations: values to set, and nil for those to
// remove. If it has none, the node stays as it is.
type change struct {
	annotations map[string]*string
	// says is what happened to the node, for people, and note what did not.
	says, note string
}

// inapplicable is the error of a command that does not apply to a node in its current
// state. The command fails for a node that is named, and skips a node that is
// selected.
type inapplicable struct{ error }

func inapplicablef(format string, args ...any) error {
	return inapplicable{fmt.Errorf(format, args...)}
}

// set adds an annotation to set, unless the node has it.
func (c *change) set(node *corev1.Node, key, value string) {
	if was, is := node.Annotations[key]; !is || was != value {
		c.put(key, &value)
	}
}

// remove adds an annotation to remove, if the node has it.
func (c *change) remove(node *corev1.Node, key string) {
	if _, is := node.Annotations[key]; is {
		c.put(key, nil)
	}
}

func (c *change) put(key string, value *string) {
	if c.annotations == nil {
		c.annotations = map[string]*string{}
	}
	c.annotations[key] = value
}

// applied is a copy of the node with the change.
func (c *change) applied(node *corev1.Node) *corev1.Node {
	node = node.DeepCopy()
	for key, value := range c.annotations {
		if value == nil {
			delete(node.Annotations, key)
			continue
		}
		metav1.SetMetaDataAnnotation(&node.ObjectMeta, key, *value)
	}
	return node
}

// wanted is what to ask for.
type wanted struct {
	// annotations are those to write, among them that of the request.
	annotations map[string]string
	// initial are the keys of those that only a new request gets: times that were given
	// from now on, which would move whenever the command is repeated, and defaults.
	initial map[string]bool
	// overwrite lets another request be replaced, settings without a request be
	// removed, and initial settings be written again.
	overwrite bool
}

func (w *wanted) id() string { return w.annotations[api.DrainAnnotation] }

// keeps is true if a node that has the request already keeps its own value of the
// annotation. A time may come earlier, which repeating a command never makes it.
func (w *wanted) keeps(node *corev1.Node, key string) bool {
	if !w.initial[key] || w.overwrite {
		return false
	}
	if key == api.RequestedByAnnotation {
		return true
	}
	// No time, or an invalid one, is not worth keeping.
	has, err := time.Parse(time.RFC3339, node.Annotations[key])
	given, wrong := time.Parse(time.RFC3339, w.annotations[key])
	return err == nil && wrong == nil && !given.Before(has)
}

// ask asks for the drain of a node. A node that has the request already gets the
// settings that are given, and keeps the others.
func ask(node *corev1.Node, want *wanted) (change, error) {
	id := want.id()
	var c change
	var kept []string
	live, asked := requestOf(node)
	same := asked && live == id
	if err := mayAsk(node, id); err != nil && !want.overwrite {
		return c, err
	}
	for _, key := range api.UserAnnotations() {
		value, given := want.annotations[key]
		switch {
		case given && same && want.keeps(node, key):
			if has := node.Annotations[key]; has != value && key != api.RequestedByAnnotation {
				kept = append(kept, strings.TrimPrefix(key, api.Prefix)+"="+has)
			}
		case given:
			c.set(node, key, value)
		case !same:
			c.remove(node, key)
		}
	}
	switch {
	case same && len(c.annotations) == 0:
		c.says = "has this request already: " + phaseOf(node)
	case same:
		c.says = "request changed: " + id
	case asked:
		c.says = fmt.Sprintf("drain requested: %s, instead of %s", id, live)
	default:
		c.says = "drain requested: " + id
	}
	if len(kept) > 0 {
		c.note = fmt.Sprintf("; it keeps %s (--overwrite changes that)", strings.Join(kept, " "))
	}
	return c, nil
}

// mayAsk is an error if a request with the ID may not be written to the node.
func mayAsk(node *corev1.Node, id string) error {
	live, asked := requestOf(node)
	left := settingsOf(node)
	switch {
	case asked && live != id && node.Annotations[api.DrainedAnnotation] == live:
		return fmt.Errorf("node %s is drained for the request %q: release it first, or replace the request with --overwrite", node.Name, live)
	case asked && live != id:
		return fmt.Errorf("node %s has the request %q already (%s): cancel it, give its ID with --id to change its settings, or replace it with --overwrite",
			node.Name, live, phaseOf(node))
	case !asked && len(left) > 0:
		return fmt.Errorf("node %s has settings without a request, which would apply to yours: %s: remove them, or let --overwrite remove them",
			node.Name, strings.Join(left, ", "))
	}
	return nil
}

// cancel takes the request off a node whose drain is not finished.
func cancel(node *corev1.Node, id string) (change, error) {
	live, asked := requestOf(node)
	if err := expected(node, live, asked, id); err != nil {
		return change{}, err
	}
	if asked && isDrained(node) {
		return change{}, inapplicablef("node %s is drained, and cancelling would uncordon it: use kubectl drainer release %s if you want that", node.Name, node.Name)
	}
	c := withdraw(node)
	switch {
	case asked:
		c.says = "drain cancelled: " + live
	case len(c.annotations) > 0:
		c.says = "settings removed, there was no request"
	default:
		c.says = "has no request"
	}
	return c, nil
}

// release takes the request off a node that is drained.
func release(node *corev1.Node, id string) (change, error) {
	live, asked := requestOf(node)
	if err := expected(node, live, asked, id); err != nil {
		return change{}, err
	}
	if !asked {
		return change{says: "has no request"}, nil
	}
	if !isDrained(node) {
		return change{}, inapplicablef("node %s is not drained (%s): wait for it, or use kubectl drainer cancel %s", node.Name, phaseOf(node), node.Name)
	}
	c := withdraw(node)
	c.says = "released: " + live
	return c, nil
}

// withdraw removes everything that users write.
func withdraw(node *corev1.Node) change {
	var c change
	for _, key := range api.UserAnnotations() {
		c.remove(node, key)
	}
	return c
}

// pause holds the request of a node.
func pause(node *corev1.Node, id string) (change, error) {
	live, asked := requestOf(node)
	if err := expected(node, live, asked, id); err != nil {
		return change{}, err
	}
	switch {
	case !asked:
		return change{}, inapplicablef("node %s has no request to pause: kubectl drainer status lists the nodes that have one", node.Name)
	case isDrained(node):
		return change{says: "is drained already"}, nil
	case disappears(node):
		return change{}, fmt.Errorf("node %s disappears at %s, so its drain does not pause: if that is wrong, remove the annotation %s, or use kubectl drainer cancel %s",
			node.Name, node.Annotations[api.DeadlineAnnotation], api.DeadlineAnnotation, node.Name)
	}
	var c change
	c.set(node, api.PausedAnnotation, "true")
	if c.says = "paused: " + live; len(c.annotations) == 0 {
		c.says = "is paused already"
	}
	return c, nil
}

// resume lets the request of a node continue.
func resume(node *corev1.Node, id string) (change, error) {
	live, asked := requestOf(node)
	if err := expected(node, live, asked, id); err != nil {
		return change{}, err
	}
	var c change
	c.remove(node, api.PausedAnnotation)
	if c.says = "resumed: " + live; len(c.annotations) == 0 {
		c.says = "is not paused"
	}
	return c, nil
}

// expected is an error if the node has another request than the one meant. An
// empty ID means any.
func expected(node *corev1.Node, live string, asked bool, id string) error {
	switch {
	case id == "" || asked && live == id:
		return nil
	case !asked:
		return inapplicablef("node %s has no request, expected %q", node.Name, id)
	default:
		return inapplicablef("node %s has the request %q, expected %q", node.Name, live, id)
	}
}

// requestOf is the ID of the node's request, if it has one.
func requestOf(node *corev1.Node) (id string, asked bool) {
	id = node.Annotations[api.DrainAnnotation]
	return id, api.IsRequestID(id)
}

// settingsOf are the annotations that users write besides the request.
func settingsOf(node *corev1.Node) []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(node.Annotations)) {
		if key != api.DrainAnnotation && slices.Contains(api.UserAnnotations(), key) {
			list = append(list, key+"="+node.Annotations[key])
		}
	}
	return list
}

// isDrained is true if drainer says that the node is drained for its request.
func isDrained(node *corev1.Node) bool {
	id, asked := requestOf(node)
	return asked && node.Annotations[api.DrainedAnnotation] == id
}

// disappears is true for a node with a deadline that drainer says counts.
func disappears(node *corev1.Node) bool {
	s := statusOfNode(node)
	return s != nil && s.Deadline != nil
}

// statusOfNode is what drainer says about the node's request; nil if it has not
// said anything about it yet.
func statusOfNode(node *corev1.Node) *api.Status {
	s, err := api.ParseStatus(node.Annotations[api.StatusAnnotation])
	// drainer shortens an ID that is too long, in its answer that it is.
	if r, _, _ := api.RequestOf(node.Annotations); err != nil || s.Request != r.ID {
		return nil
	}
	return &s
}

// phaseOf names the phase of the node's request, for messages.
func phaseOf(node *corev1.Node) string {
	if s := statusOfNode(node); s != nil {
		return string(s.Phase)
	}
	return unanswered
}

// unanswered stands for the phase of a request that drainer has not answered.
const unanswered = "no answer from drainer yet"
