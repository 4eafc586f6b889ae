package witness_test

import (
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/invariant"
	"drainer.dev/drainer/test/witness"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// at is node n with a version, and with a request or without.
func at(version, request string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "uid-n", ResourceVersion: version}}
	if request != "" {
		n.Annotations = map[string]string{api.DrainAnnotation: request}
	}
	return n
}

// wrote is the write that made a node what it is, with a token.
func wrote(t *testing.T, n *corev1.Node, credential string, done time.Time) (q cluster.AuditEvent) {
	t.Helper()
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	q.Verb, q.ObjectRef.Resource, q.ObjectRef.Name = "patch", "nodes", n.Name
	q.ResponseStatus.Code, q.ResponseObject = 200, text
	q.User.Extra = map[string][]string{"authentication.kubernetes.io/credential-id": {credential}}
	q.Received, q.Done = done, done
	return q
}

// TestFill: if the watches were broken while somebody removed a request and drainer
// wrote after that, drainer has not removed it. If nobody else did, it has.
func TestFill(t *testing.T) {
	for name, test := range map[string]struct {
		others bool
		want   int
	}{"somebody removed it": {true, 0}, "drainer removed it": {false, 1}} {
		t.Run(name, func(t *testing.T) {
			r := &witness.Record{
				Changes: []witness.Change{
					{Version: 1, Seen: noon, Object: at("1", "r")},
					{Version: 3, Seen: noon.Add(9 * time.Second), Object: at("3", "")},
				},
				Requests: []cluster.AuditEvent{wrote(t, at("3", ""), "drainer", noon.Add(2*time.Second))},
			}
			if test.others {
				r.Requests = append(r.Requests, wrote(t, at("2", ""), "somebody", noon.Add(time.Second)))
			}
			if err := r.Fill(); err != nil {
				t.Fatal(err)
			}
			v, err := r.Judge([]witness.Process{{Name: "p", Credential: "drainer", Rules: invariant.Rules{Patience: time.Minute}}})
			if err != nil || len(v.Violations) != test.want {
				t.Errorf("violations %v, error %v, want %d", v.Violations, err, test.want)
			}
		})
	}
}
