package faults

import "net/http"

// sink is where an answer goes that is lost.
type sink struct {
	header http.Header
	// begun is called when the answer begins.
	begun func()
}

func (s *sink) Header() http.Header            { return s.header }
func (s *sink) Write(text []byte) (int, error) { return len(text), nil }
func (s *sink) WriteHeader(int)                { s.begun() }
