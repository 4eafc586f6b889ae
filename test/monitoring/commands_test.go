package monitoring

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"drainer.dev/drainer/test/monitoring/stage"
	"drainer.dev/drainer/test/shells"
	"drainer.dev/drainer/test/suite"
)

// changes are the commands that would change the scene; --dry-run=server has
// the API server check them anyway.
var changes = regexp.MustCompile(`^kubectl (annotate|patch|delete|taint) `)

// testRunbooks runs every command and every query of the runbooks against the
// stage. What reads drainer's log cannot be run: its pods are only played.
func (l *live) testRunbooks(t *testing.T) {
	pods, err := l.stage.Client.CoreV1().Pods("shop").List(l.ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", stage.Stuck).String(),
	})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("%d pods on node %s (%v)", len(pods.Items), stage.Stuck, err)
	}
	environment := append(os.Environ(), "KUBECONFIG="+l.stage.Cluster.Kubeconfig(), "PATH="+l.stage.Cluster.Binaries+":"+os.Getenv("PATH"),
		"NODE="+stage.Stuck, "NAMESPACE=shop", "POD="+pods.Items[0].Name, "BUDGET=ledger")
	for name, text := range runbooks(t) {
		t.Run(name, func(t *testing.T) {
			shells.Each(t, func(t *testing.T, shell string) {
				for _, block := range blocks(text, "sh") {
					for line := range strings.Lines(block) {
						runCommand(t, shell, environment, strings.TrimSpace(line))
					}
				}
			})
			for _, block := range blocks(text, "promql") {
				for expr := range strings.Lines(block) {
					if _, err := l.prometheus.Now(l.ctx, strings.TrimSpace(expr), time.Now()); err != nil {
						t.Errorf("%s: %v", expr, err)
					}
				}
			}
		})
	}
}

func runCommand(t *testing.T, shell string, environment []string, line string) {
	t.Helper()
	if strings.HasPrefix(line, "kubectl logs ") {
		return
	}
	if changes.MatchString(line) {
		line += " --dry-run=server"
	}
	_, err := suite.Run(t, func(ctx context.Context) *exec.Cmd {
		command := shells.Command(ctx, shell, line)
		command.Env = environment
		return command
	})
	if err != nil {
		t.Error(err)
	}
}
