package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"drainer.dev/drainer/pkg/sim"
)

// Request is a request as the log shows it.
type Request struct {
	// Client is the name of the transport that sent it.
	Client string
	// Verb is one of those of RBAC: get, list, watch, create, update, patch,
	// delete.
	Verb                         string
	Resource                     sim.Resource
	Subresource, Namespace, Name string
	Query                        url.Values
	ContentType                  string
	Body                         []byte
	// Began is when it arrived, Ended when it was answered: zero while it is
	// under way. A watch is answered when it begins.
	Began, Ended time.Time
	// Code is the HTTP status of the answer; 0 if there was none.
	Code int
	// Failure is why there was no answer.
	Failure string
}

// String is a line for a test's log.
func (r Request) String() string {
	path := string(r.Resource)
	for _, part := range []string{r.Namespace, r.Name, r.Subresource} {
		if part != "" {
			path += "/" + part
		}
	}
	return fmt.Sprintf("%s %s %s %s: %d %s", r.Began.Format("15:04:05.000"), r.Client, r.Verb, path, r.Code, r.Failure)
}

// Evicts is true for an eviction that is not a dry run.
func (r Request) Evicts() bool { return r.Subresource == "eviction" && r.Query.Get("dryRun") == "" }

// UnderWay is true for a request that was under way at the time.
func (r Request) UnderWay(at time.Time) bool {
	return !r.Began.After(at) && (r.Ended.IsZero() || r.Ended.After(at))
}

// discovery is the resource name of a request for the resources of a group.
const discovery sim.Resource = "discovery"

// requestOf reads a request's method and path.
func requestOf(client string, r *http.Request, body []byte) *Request {
	request := &Request{
		Client: client, Began: time.Now(), Query: r.URL.Query(), Body: body,
		ContentType: r.Header.Get("Content-Type"), Resource: discovery, Verb: "get",
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "apis" {
		parts = parts[1:]
	}
	if parts = parts[min(2, len(parts)):]; len(parts) == 0 {
		return request
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		request.Namespace, parts = parts[1], parts[2:]
	}
	request.Resource = sim.Resource(parts[0])
	for i, into := range []*string{&request.Name, &request.Subresource} {
		if len(parts) > i+1 {
			*into = parts[i+1]
		}
	}
	request.Verb = verbOf(r.Method, request)
	return request
}

func verbOf(method string, r *Request) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	switch {
	case r.Query.Get("watch") == "true" || r.Query.Get("watch") == "1":
		return "watch"
	case r.Name == "":
		return "list"
	default:
		return "get"
	}
}

// key is the object that the request is about.
func (r *Request) key() sim.Key { return sim.Key{Namespace: r.Namespace, Name: r.Name} }
