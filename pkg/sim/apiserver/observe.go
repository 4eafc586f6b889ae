package apiserver

import "drainer.dev/drainer/pkg/sim"

// Observer is notified of what happens at the server, in order. The server
// waits for it, so it must not call the server. Each function may be nil.
type Observer struct {
	// Received is called when a request has come to the server, before any rule
	// delays or answers it.
	Received func(Request)
	// Handled is called with the code once a request has been carried out or
	// refused, and before Changed with what it has changed. A request that a rule
	// answers without carrying it out is not handled.
	Handled func(r Request, code int)
	// Answered is called when the client has its answer, or knows that there is
	// none.
	Answered func(Request)
	// Changed is called for every change of the cluster, with the name of the
	// client whose request made it; empty for everybody else.
	Changed func(c sim.Change, client string)
}

// Observe tells the observer from now on.
func (s *Server) Observe(o Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observer = o
}

// received tells the observer.
func (s *Server) received(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.observer.Received != nil {
		s.observer.Received(*r)
	}
}

// changed tells the observer. The lock is held.
func (s *Server) changed(changes []sim.Change, client string) {
	if s.observer.Changed == nil {
		return
	}
	for _, c := range changes {
		s.observer.Changed(c, client)
	}
}
