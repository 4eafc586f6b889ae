// Package apiserver serves a sim.Cluster over HTTP: an http.RoundTripper that
// answers as a Kubernetes API server does, for tests of programs that use
// client-go. It knows the resources that drainer uses.
//
// The cluster's clock follows time.Now, so in a testing/synctest bubble the
// cluster lives in the bubble's time. The server also offers what a real one
// cannot: latency, answers and broken connections by rule, watches that stall,
// and a log of every request.
package apiserver

import (
	"context"
	"slices"
	"sync"
	"time"

	"drainer.dev/drainer/pkg/sim"
)

// Server is the API server of a cluster. It is safe for concurrent use.
type Server struct {
	latency time.Duration
	// skew is how far the cluster's clock is ahead of time.Now.
	skew  time.Duration
	nodes nodeFields
	// kick makes Run check again when the cluster changes next.
	kick chan struct{}

	mu       sync.Mutex
	cluster  *sim.Cluster
	seen     uint64 // the version up to which watchers have been told
	watchers map[*watcher]bool
	stalls   []*func(Request) bool
	rules    []*Rule
	log      []*Request
	observer Observer
	news     chan struct{}
}

// New makes the API server of a cluster. Every request takes the latency, half
// of it before it is handled and half of it after. The cluster's clock keeps its
// current offset from time.Now.
func New(c *sim.Cluster, latency time.Duration) *Server {
	return &Server{
		latency: latency, skew: time.Until(c.Now()), nodes: newNodeFields(), kick: make(chan struct{}, 1),
		cluster: c, seen: c.Version(), watchers: map[*watcher]bool{}, news: make(chan struct{}),
	}
}

// now is the time on the cluster's clock.
func (s *Server) now() time.Time { return time.Now().Add(s.skew) }

// Run lets the cluster's time pass until ctx is done. Without it the cluster
// changes only when somebody asks.
func (s *Server) Run(ctx context.Context) {
	for {
		var alarm <-chan time.Time // never, if nothing is due
		if next, due := s.next(); due {
			alarm = time.After(next.Sub(s.now()))
		}
		select {
		case <-ctx.Done():
			return
		case <-alarm:
		case <-s.kick:
		}
	}
}

// next brings the cluster up to now, and says when it changes next.
func (s *Server) next() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster.Advance(s.now())
	s.tell("")
	return s.cluster.Next()
}

// Do looks at the cluster, or changes it, as of now. Watchers are told of what
// has changed.
func (s *Server) Do(f func(*sim.Cluster)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster.Advance(s.now())
	before, was := s.cluster.Next()
	f(s.cluster)
	s.tell("")
	if after, is := s.cluster.Next(); is != was || !after.Equal(before) {
		s.look()
	}
}

// look makes Run look again.
func (s *Server) look() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Restore brings the cluster back to a backup. All watches end.
func (s *Server) Restore(b sim.Backup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster.Restore(b)
	s.seen = s.cluster.Version()
	for w := range s.watchers {
		w.end(nil)
	}
	s.announce()
	s.look()
}

// tell passes the newest changes to the watchers, with the client that made
// them or none, and wakes everybody who waits for a change. The lock is held.
func (s *Server) tell(client string) {
	if s.seen == s.cluster.Version() {
		return
	}
	changes := s.cluster.Since(s.seen)
	s.seen = s.cluster.Version()
	s.changed(changes, client)
	for w := range s.watchers {
		for _, change := range changes {
			w.tell(change)
		}
		if len(w.queue) > 0 {
			w.wake()
		}
	}
	s.announce()
}

// announce wakes everybody who waits for a change or an answer. The lock is
// held.
func (s *Server) announce() {
	close(s.news)
	s.news = make(chan struct{})
}

// Changed is closed at the next change of the cluster or the next answer.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// Requests are the requests so far that match, in the order of their arrival.
// A nil match matches all.
func (s *Server) Requests(match func(Request) bool) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Request
	for _, r := range s.log {
		if match == nil || match(*r) {
			found = append(found, *r)
		}
	}
	return found
}

// Add adds a rule, which takes precedence over earlier ones. The function that
// it returns removes the rule.
func (s *Server) Add(r Rule) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &r
	s.rules = slices.Insert(s.rules, 0, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules = slices.DeleteFunc(s.rules, func(r *Rule) bool { return r == added })
	}
}
