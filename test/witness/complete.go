package witness

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/test/await"
)

// unauthorized is the code of requests whose token the API server does not accept: the
// audit log does not say whose they were.
const unauthorized = "401"

// Complete is what the record does not have yet: a request comes into the audit
// log a moment after it was answered, and a watch shows a change a moment after
// it was made.
func (r *Record) Complete(processes []Process) error {
	for _, p := range processes {
		counted, logged := 0, 0
		for code, n := range p.Counted {
			if code != "error" && code != unauthorized {
				counted += n
			}
		}
		for i := range r.Requests {
			if q := &r.Requests[i]; q.Eviction() && q.Credential() == p.Credential {
				logged++
			}
		}
		if logged < counted {
			return await.NotYet("%s counts %d answers, the audit log has %d", p.Name, counted, logged)
		}
	}
	written, seen := uint64(0), uint64(0)
	for i := range r.Requests {
		if version, wrote := writtenVersion(&r.Requests[i]); wrote {
			written = max(written, version)
		}
	}
	for _, c := range r.Changes {
		if _, is := c.Object.(*corev1.Node); is {
			seen = max(seen, c.Version)
		}
	}
	if seen < written {
		return await.NotYet("version %d of the nodes is seen, %d was written", seen, written)
	}
	return r.effects()
}

// Fill adds the changes of nodes that the audit log has and no watch has shown. A watch
// that was broken lists again, and several changes look like one then, made by whoever
// wrote last.
func (r *Record) Fill() error {
	shown := map[uint64]bool{}
	for _, c := range r.Changes {
		if _, is := c.Object.(*corev1.Node); is {
			shown[c.Version] = true
		}
	}
	for i := range r.Requests {
		q := &r.Requests[i]
		version, wrote := writtenVersion(q)
		if !wrote || shown[version] || q.Verb == "delete" {
			continue
		}
		node := &corev1.Node{}
		if err := json.Unmarshal(q.ResponseObject, node); err != nil {
			return fmt.Errorf("reading what was written to node %s in the audit log: %w", q.ObjectRef.Name, err)
		}
		shown[version] = true
		r.Changes = append(r.Changes, Change{Version: version, Seen: q.Done, Object: node})
	}
	slices.SortStableFunc(r.Changes, func(a, b Change) int { return compareVersions(a.Version, b.Version) })
	return nil
}

// effects is nil once every pod whose eviction was admitted is seen to leave.
func (r *Record) effects() error {
	left := map[string]bool{}
	for _, c := range r.Changes {
		if p, is := c.Object.(*corev1.Pod); is && (c.Deleted || p.DeletionTimestamp != nil) {
			left[string(p.UID)] = true
		}
	}
	for i := range r.Requests {
		q := &r.Requests[i]
		if !(q.Eviction() || q.Deletion()) || q.ResponseStatus.Code/100 != 2 {
			continue
		}
		e, err := evictionOf(q)
		if err != nil {
			return err
		}
		if !left[string(e.UID)] {
			return await.NotYet("%s was admitted and is not seen to leave", e.Pod)
		}
	}
	return nil
}
