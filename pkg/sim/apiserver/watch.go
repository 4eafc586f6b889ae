package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/sim"
)

// watcher is a watch under way. It is the body of its response.
type watcher struct {
	server  *Server
	request Request
	selects func(sim.Object) bool
	// node is the node whose pods a watch is limited to; empty for other watches.
	node string
	// after is the version that the client knows. Like the API server's cache, a
	// watch shows nothing up to it, even if etcd was restored to an earlier
	// version.
	after   uint64
	ctx     context.Context
	cut     chan struct{}
	timeout *time.Timer

	// signal wakes Read; closed ends it.
	signal chan struct{}
	closed chan struct{}

	// The server's lock guards these.
	queue   []metav1.WatchEvent
	stalled int
	ended   bool

	// buffer belongs to Read.
	buffer []byte
}

// selection is what the query of a list or watch selects.
func selection(r *Request) (func(sim.Object) bool, error) {
	labelled, err := labels.Parse(r.Query.Get("labelSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	field, err := fields.ParseSelector(r.Query.Get("fieldSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return func(o sim.Object) bool {
		set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
		if pod, is := o.(*corev1.Pod); is {
			set["spec.nodeName"], set["status.phase"] = pod.Spec.NodeName, string(pod.Status.Phase)
		}
		return (r.Namespace == "" || r.Namespace == o.GetNamespace()) && labelled.Matches(labels.Set(o.GetLabels())) && field.Matches(set)
	}, nil
}

// watch begins a watch. The lock is held.
func (s *Server) watch(ctx context.Context, t *Transport, r *Request) (*http.Response, error) {
	if r.Query.Get("sendInitialEvents") != "" {
		// Like a server that cannot stream lists; client-go then lists instead.
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "ListOptions"}, "", nil)
	}
	selects, err := selection(r)
	if err != nil {
		return nil, err
	}
	after, err := strconv.ParseUint(r.Query.Get("resourceVersion"), 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("resourceVersion: %v", err))
	}
	w := &watcher{
		server: s, request: *r, selects: selects, after: after, ctx: ctx, cut: t.cut, signal: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	seconds, err := strconv.Atoi(r.Query.Get("timeoutSeconds"))
	if err != nil {
		seconds = 1800
	}
	if _, node, only := cutNodeSelector(r.Query.Get("fieldSelector")); only && r.Resource == sim.Pods {
		w.node = node
	}
	w.timeout = time.NewTimer(time.Duration(seconds) * time.Second)
	for _, match := range s.stalls {
		if (*match)(*r) {
			w.stalled++
		}
	}
	for _, change := range s.cluster.Since(after) {
		w.tell(change)
	}
	s.watchers[w] = true
	response := respond(http.StatusOK, "application/json", nil, 0)
	response.Body, response.ContentLength = w, -1
	return response, nil
}

// tell queues a change as the watch sees it. The server's lock is held.
func (w *watcher) tell(change sim.Change) {
	if change.Resource != w.request.Resource || change.Version <= w.after || w.ended {
		return
	}
	if w.node != "" && w.node != nodeOfPod(change.Object) && w.node != nodeOfPod(change.Was) {
		return // Most of the pods' watches are of other nodes.
	}
	is := change.Type != watch.Deleted && w.selects(change.Object)
	was := change.Was != nil && w.selects(change.Was)
	event := metav1.WatchEvent{Object: runtime.RawExtension{Object: change.Object}}
	switch {
	case is && was:
		event.Type = string(watch.Modified)
	case is:
		event.Type = string(watch.Added)
	case was:
		event.Type = string(watch.Deleted)
	default:
		return
	}
	w.queue = append(w.queue, event)
}

func nodeOfPod(o sim.Object) string {
	if pod, is := o.(*corev1.Pod); is {
		return pod.Spec.NodeName
	}
	return ""
}

func (w *watcher) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// end ends the watch after what is queued, and after the error if there is one.
// The server's lock is held.
func (w *watcher) end(err apierrors.APIStatus) {
	if err != nil {
		status := err.Status()
		status.APIVersion, status.Kind = "v1", "Status"
		w.queue = append(w.queue, metav1.WatchEvent{Type: string(watch.Error), Object: runtime.RawExtension{Object: &status}})
	}
	w.ended, w.stalled = true, 0
	delete(w.server.watchers, w)
	w.wake()
}

// Read implements io.Reader: it waits for the next event.
func (w *watcher) Read(p []byte) (int, error) {
	for len(w.buffer) == 0 {
		if text, err := w.next(); err != nil || text != nil {
			if err != nil {
				return 0, err
			}
			w.buffer = text
			continue
		}
		select {
		case <-w.signal:
		case <-w.cut:
			return 0, errReset
		case <-w.ctx.Done():
			return 0, w.ctx.Err()
		case <-w.closed:
			return 0, errors.New("read on a closed body")
		case <-w.timeout.C:
			return 0, io.EOF
		}
	}
	n := copy(p, w.buffer)
	w.buffer = w.buffer[n:]
	return n, nil
}

// next takes everything that is queued, or nothing while the watch is stalled.
func (w *watcher) next() ([]byte, error) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	if w.stalled > 0 {
		return nil, nil
	}
	var text []byte
	for _, event := range w.queue {
		line, err := json.Marshal(event)
		if err != nil {
			return nil, err
		}
		text = append(append(text, line...), '\n')
	}
	w.queue = nil
	if text == nil && w.ended {
		return nil, io.EOF
	}
	return text, nil
}

// Close implements io.Closer.
func (w *watcher) Close() error {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	delete(w.server.watchers, w)
	w.timeout.Stop()
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
	return nil
}

// Stall makes matching watches stall, including later ones: they stay open and
// show nothing until the returned function is called.
func (s *Server) Stall(match func(Request) bool) (resume func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalls = append(s.stalls, &match)
	for w := range s.watchers {
		if match(w.request) {
			w.stalled++
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range s.stalls {
			if s.stalls[i] == &match {
				s.stalls = append(s.stalls[:i:i], s.stalls[i+1:]...)
				break
			}
		}
		for w := range s.watchers {
			if match(w.request) && w.stalled > 0 {
				w.stalled--
				w.wake()
			}
		}
	}
}

// Expire ends the matching watches with 410 Gone: they show no later changes,
// and the client has to list again.
func (s *Server) Expire(match func(Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		if match(w.request) {
			if w.stalled > 0 {
				w.queue = nil
			}
			w.end(apierrors.NewResourceExpired("too old resource version"))
		}
	}
}
