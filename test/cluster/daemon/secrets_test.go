package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drainer.dev/drainer/test/cluster"
)

const kubeconfig = `apiVersion: v1
kind: Config
users: [{name: drainer, user: {token: 00112233445566778899aabbccddeeff}}]
`

// TestCheckLogs: a log of drainer that has a secret of the cluster is an error that
// names the log, the line and the secret, but not its text. Other programs' logs are not looked at.
func TestCheckLogs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("logs/drainer-1.kubeconfig", kubeconfig)
	write("apiserver.key", "MHcCAQEEIAbcdefgh\n")
	write("logs/etcd.log", "the admin has admin-secret")
	s := &Stage{Cluster: &cluster.Cluster{Dir: dir, State: cluster.State{AdminToken: "admin-secret"}}}
	for text, want := range map[string]string{
		"Started\n": "",
		"Started\ntoken=00112233445566778899aabbccddeeff\n": "line 2 has the token of drainer-1.kubeconfig",
		`{"msg":"x","key":"MHcCAQEEIAbcdefgh\n"}`:           "line 1 has the key apiserver.key",
		"it is admin-secret":                                "line 1 has the admin's token",
	} {
		s.logs = []string{write("logs/drainer-1.log", text)}
		err := s.checkLogs()
		switch {
		case want == "":
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
		case err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.logs[0]):
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	s.logs = []string{filepath.Join(dir, "logs/none.log")}
	if err := s.checkLogs(); err == nil {
		t.Error("a log that is missing has no secrets")
	}
}
