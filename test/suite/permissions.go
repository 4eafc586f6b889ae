package suite

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster"
)

// AwaitUsed waits until the user has used everything that the rules of its
// roles grant, by the API server's audit log.
func AwaitUsed(t testing.TB, c *cluster.Cluster, user string, rules []rbacv1.PolicyRule) {
	t.Helper()
	unused := cluster.Permissions(rules)
	if len(unused) < 10 {
		t.Fatalf("the roles grant only %v", unused)
	}
	Await(t, nil, "every permission is used", func() error {
		_, err := c.AuditOf(user, func(a *cluster.AuditEvent) bool {
			unused = slices.DeleteFunc(unused, func(p string) bool { return p == a.Permission() })
			return false
		})
		if err == nil && len(unused) > 0 {
			err = await.NotYet("never used: %s", strings.Join(unused, ", "))
		}
		return err
	})
}

// CheckAllowed fails the test if the user asked for what its roles do not
// grant, or the chart's policies deny.
func CheckAllowed(t testing.TB, c *cluster.Cluster, user string) {
	t.Helper()
	refused, err := c.AuditOf(user, func(a *cluster.AuditEvent) bool { return a.Forbidden() || a.Confined() })
	if err != nil {
		t.Error(err)
	}
	for _, a := range refused {
		t.Errorf("drainer is not allowed to %s %s: %s", a.Verb, a.RequestURI, a.ResponseStatus.Message)
	}
}
