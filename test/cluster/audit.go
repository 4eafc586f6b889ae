package cluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// auditPolicy logs what tests read: evictions, the status of budgets and writes
// to nodes whole, the rest by its metadata, and the components' own traffic not
// at all.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources: [{group: "", resources: ["pods/eviction"]}]
- level: RequestResponse
  verbs: [update, patch]
  resources: [{group: "policy", resources: ["poddisruptionbudgets/status"]}]
- level: None
  users: ["system:apiserver", "kwok", "system:kube-scheduler", "system:kube-controller-manager"]
- level: RequestResponse
  verbs: [create, update, patch, delete]
  resources: [{group: "", resources: ["nodes", "nodes/status"]}]
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
- level: RequestResponse
  verbs: [delete]
  resources: [{group: "", resources: ["pods"]}]
- level: Metadata
`

// AuditEvent is a request as the API server's audit log has it.
type AuditEvent struct {
	Stage string `json:"stage"`
	Verb  string `json:"verb"`
	User  struct {
		Username string              `json:"username"`
		Extra    map[string][]string `json:"extra"`
	} `json:"user"`
	UserAgent  string `json:"userAgent"`
	RequestURI string `json:"requestURI"`
	ObjectRef  struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus metav1.Status `json:"responseStatus"`
	// RequestObject and ResponseObject are logged where the policy says so.
	RequestObject  json.RawMessage   `json:"requestObject"`
	ResponseObject json.RawMessage   `json:"responseObject"`
	Annotations    map[string]string `json:"annotations"`
	// Received is when the request came, Done when it was answered.
	Received time.Time `json:"requestReceivedTimestamp"`
	Done     time.Time `json:"stageTimestamp"`
}

// Eviction is true for a POST to pods/eviction that is no dry run.
func (e *AuditEvent) Eviction() bool { return e.postsEviction() && !e.dryRun() }

// DryRun is true for a POST to pods/eviction that is one.
func (e *AuditEvent) DryRun() bool { return e.postsEviction() && e.dryRun() }

func (e *AuditEvent) dryRun() bool { return strings.Contains(e.RequestURI, "dryRun=All") }

func (e *AuditEvent) postsEviction() bool {
	return e.Verb == "create" && e.ObjectRef.Resource == "pods" && e.ObjectRef.Subresource == "eviction"
}

// Deletion is true for a DELETE of a pod.
func (e *AuditEvent) Deletion() bool {
	return e.Verb == "delete" && e.ObjectRef.Resource == "pods" && e.ObjectRef.Subresource == ""
}

// Credential is the ID of the ServiceAccount token that the request came with;
// empty if it came with something else.
func (e *AuditEvent) Credential() string {
	return strings.Join(e.User.Extra["authentication.kubernetes.io/credential-id"], ",")
}

// Permission is what the request needs, as Permissions writes it.
func (e *AuditEvent) Permission() string {
	return permission(e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.ObjectRef.Subresource)
}

// Forbidden is true for a request that was refused for lack of a permission.
func (e *AuditEvent) Forbidden() bool {
	return e.Annotations["authorization.k8s.io/decision"] == "forbid"
}

// confined is how the API server denies by one of the chart's policies.
var confined = regexp.MustCompile(`ValidatingAdmissionPolicy '[a-z-]*drainer-(nodes|evictions)\b`)

// Confined is true for a request that was refused by one of the chart's policies.
func (e *AuditEvent) Confined() bool { return confined.MatchString(e.ResponseStatus.Message) }

// Permissions lists what the rules of roles grant, one verb on one resource
// each.
func Permissions(rules []rbacv1.PolicyRule) []string {
	var all []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, permission(verb, group, resource, ""))
				}
			}
		}
	}
	return all
}

func permission(verb, group, resource, subresource string) string {
	if subresource != "" {
		resource += "/" + subresource
	}
	return fmt.Sprintf("%s %s.%s", verb, resource, group)
}

// AuditOf is what the user asked the API server for, as far as keep wants it.
// A request is in the log only after it has been answered, maybe a moment
// later.
func (c *Cluster) AuditOf(user string, keep func(*AuditEvent) bool) ([]AuditEvent, error) {
	return c.Audit(user, func(e *AuditEvent) bool { return e.User.Username == user && keep(e) })
}

// Audit reads the audit log and returns the finished requests, and the begun
// watches, that keep wants, in the order of their ends. Only lines with the
// text in them are looked at; an empty text is in all of them.
func (c *Cluster) Audit(text string, keep func(*AuditEvent) bool) ([]AuditEvent, error) {
	file, err := os.Open(filepath.Join(c.Dir, auditLogFile))
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	defer file.Close()
	var events []AuditEvent
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			// The last line may be only half written.
			return events, nil
		}
		if !bytes.Contains(line, []byte(text)) {
			continue
		}
		var e AuditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if keep(&e) {
			events = append(events, e)
		}
	}
}
