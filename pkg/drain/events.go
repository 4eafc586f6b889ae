package drain

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	eventsv1client "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/plan"
)

// eventWriter writes events in the background. client-go's recorder merges
// events of the same reason into a series and drops the later notes, so a
// second request would look like the first.
type eventWriter struct {
	client   eventsv1client.EventsV1Interface
	identity string
	queue    chan *eventsv1.Event
	dropped  atomic.Int64
}

const (
	// eventBacklog bounds the events that wait. Further events are dropped: they
	// are optional, and must never delay a drain.
	eventBacklog = 2000
	// eventTimeout bounds the time for one event.
	eventTimeout = 30 * time.Second
	controller   = "drainer.dev/drainer"
)

func newEventWriter(client eventsv1client.EventsV1Interface, identity string) *eventWriter {
	return &eventWriter{client: client, identity: plan.Cut(identity, 128), queue: make(chan *eventsv1.Event, eventBacklog)}
}

// run writes events until ctx ends.
func (w *eventWriter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.queue:
			if err := w.write(ctx, e); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).V(1).Info("Could not write an event", "reason", e.Reason, "note", e.Note, "err", err)
			}
			if n := w.dropped.Swap(0); n > 0 {
				klog.FromContext(ctx).Info("Dropped events because the API server accepts them too slowly", "events", n)
			}
		}
	}
}

// write writes one event. It gives up after a while: the next ones wait for it.
func (w *eventWriter) write(ctx context.Context, e *eventsv1.Event) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	_, err := w.client.Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{})
	return err
}

func (w *eventWriter) node(n *plan.Node, reason, note string, warning bool) {
	w.add(corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}, reason, note, warning)
}

func (w *eventWriter) pod(p *plan.Pod, reason, note string) { w.add(reference(p), reason, note, false) }

func (w *eventWriter) podWarning(p *plan.Pod, reason, note string) {
	w.add(reference(p), reason, note, true)
}

// eventName is a unique name. Events are checked more strictly than other
// objects: a generateName must not end with a dot.
func eventName(object string) string {
	const mostName, suffix = 253, 12
	prefix := strings.TrimRight(object[:min(len(object), mostName-suffix-1)], "-.")
	return prefix + "." + rand.String(suffix)
}

func reference(p *plan.Pod) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
}

func (w *eventWriter) add(regarding corev1.ObjectReference, reason, note string, warning bool) {
	namespace, kind := regarding.Namespace, corev1.EventTypeNormal
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	if warning {
		kind = corev1.EventTypeWarning
	}
	e := &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Name: eventName(regarding.Name), Namespace: namespace},
		EventTime:           metav1.NowMicro(),
		ReportingController: controller, ReportingInstance: w.identity,
		Action: "Drain", Reason: reason, Regarding: regarding, Note: plan.Cut(note, plan.MostNote), Type: kind,
	}
	select {
	case w.queue <- e:
	default:
		w.dropped.Add(1)
	}
}
