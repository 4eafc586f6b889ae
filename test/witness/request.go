package witness

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/invariant"
)

// writtenVersion is the resourceVersion that a write gave a Node, if it did.
func writtenVersion(q *cluster.AuditEvent) (uint64, bool) {
	if q.ObjectRef.Resource != "nodes" || q.ResponseStatus.Code/100 != 2 || len(q.ResponseObject) == 0 {
		return 0, false
	}
	var o struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(q.ResponseObject, &o); err != nil {
		return 0, false
	}
	version, err := strconv.ParseUint(o.Metadata.ResourceVersion, 10, 64)
	return version, err == nil
}

// evictionOf is the eviction that was asked for. Without a UID it was refused
// before the API server read it.
func evictionOf(q *cluster.AuditEvent) (invariant.Eviction, error) {
	e := invariant.Eviction{Pod: types.NamespacedName{Namespace: q.ObjectRef.Namespace, Name: q.ObjectRef.Name}, By: invariant.Daemon}
	if e.Deletes = q.Deletion(); e.Deletes {
		return deletionOf(q, e)
	}
	var body policyv1.Eviction
	if len(q.RequestObject) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(q.RequestObject, &body); err != nil {
		return e, fmt.Errorf("reading the eviction of %s in the audit log: %w", e.Pod, err)
	}
	if o := body.DeleteOptions; o != nil && o.Preconditions != nil && o.Preconditions.UID != nil {
		e.UID = *o.Preconditions.UID
	}
	return e, nil
}

// deletionOf is e with what the deletion that was asked for says.
func deletionOf(q *cluster.AuditEvent, e invariant.Eviction) (invariant.Eviction, error) {
	var o metav1.DeleteOptions
	if err := json.Unmarshal(q.RequestObject, &o); err != nil {
		return e, fmt.Errorf("reading the deletion of %s in the audit log: %w", e.Pod, err)
	}
	if o.Preconditions != nil && o.Preconditions.UID != nil {
		e.UID = *o.Preconditions.UID
	}
	if o.GracePeriodSeconds != nil {
		e.Grace = *o.GracePeriodSeconds
	}
	return e, nil
}

// listedNode is the node of whose pods the request is a list.
func listedNode(q *cluster.AuditEvent) (string, bool) {
	if q.Verb != "list" || q.ObjectRef.Resource != "pods" || q.ResponseStatus.Code != http.StatusOK {
		return "", false
	}
	address, err := url.Parse(q.RequestURI)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(address.Query().Get("fieldSelector"), "spec.nodeName=")
}
