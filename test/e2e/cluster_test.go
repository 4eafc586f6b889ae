package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/suite"
)

// strayCluster makes a process of this program start a cluster in the folder
// and wait to be killed.
const strayCluster = "DRAINER_E2E_STRAY_CLUSTER"

func startStray(dir string) int {
	c, err := cluster.Start(context.Background(), cluster.Options{Dir: dir, Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestClusterEndsWithItsProcess: a cluster beside the suite's own ends when the
// process that started it is killed.
func TestClusterEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx := suite.Context(t)
	command := exec.CommandContext(ctx, program)
	command.Env = append(os.Environ(), strayCluster+"="+dir)
	command.Stderr = os.Stderr
	if _, err := command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the cluster did not start: %v", err)
	}
	c, err := cluster.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.URL != strings.TrimSpace(url) || c.URL == shared.Cluster.URL {
		t.Errorf("the cluster is at %s, its process says %s", c.URL, url)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if err := c.AwaitEnd(ctx, suite.Progress(t)); err != nil {
		t.Fatal(err)
	}
	if response, err := http.Get(c.URL + "/readyz"); err == nil {
		response.Body.Close()
		t.Errorf("the API server still answers: %s", response.Status)
	}
	if _, err := cluster.Open(dir); err == nil {
		t.Error("the cluster still counts as running")
	}
}
