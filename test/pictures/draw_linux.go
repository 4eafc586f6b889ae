package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
	"drainer.dev/drainer/test/terminal"
)

// width is that of the terminal, in characters.
const width = 120

// shot is a picture of a command in a terminal.
type shot struct {
	// name is that of the file, moment that of the record it is drawn from.
	name, moment string
	// args are the command's. A pod is named by its Deployment.
	args []string
	// status is the exit status that the command has to have.
	status int
}

var shots = []shot{
	{"plan", before, []string{"plan", held}, cli.ExitCannotFinish},
	{"status", during, []string{"status"}, 0},
	{"status-node", during, []string{"status", held}, 0},
	{"why", during, []string{"why", namespace + "/db"}, 0},
}

// file is the picture in the checkout whose root is given.
func (s shot) file(root string) string {
	return filepath.Join(root, "docs", "pictures", "kubectl-drainer-"+s.name+".svg")
}

// draw draws the picture from its moment.
func (s shot) draw(ctx context.Context, root string) (string, error) {
	m, err := readMoment(root, s.moment)
	if err != nil {
		return "", err
	}
	args := m.named(s.args)
	lines, err := m.run(ctx, args, s.status)
	if err != nil {
		return "", err
	}
	command := "kubectl drainer " + strings.Join(args, " ")
	return terminal.Picture("What "+command+" shows in a terminal", slices.Concat(terminal.Show("$ "+command, width), lines), width), nil
}

// named is the arguments with the pods' names instead of those of Deployments.
func (m *moment) named(args []string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		for j := range m.Objects.Pods {
			if p := &m.Objects.Pods[j]; strings.Contains(a, "/") && strings.HasPrefix(p.Namespace+"/"+p.Name, a+"-") {
				args[i] = p.Namespace + "/" + p.Name
			}
		}
	}
	return args
}

// run runs a command in a pseudo-terminal, at the moment, and returns what the
// terminal shows.
func (m *moment) run(ctx context.Context, args []string, status int) ([]terminal.Line, error) {
	person, program, err := terminal.Open(width, 100)
	if err != nil {
		return nil, err
	}
	defer person.Close()
	shown := make(chan string, 1)
	go func() {
		// Reading fails once the program's side is closed, which is the end.
		text, _ := io.ReadAll(person)
		shown <- string(text)
	}()
	// The drainer of the scene runs beside its cluster.
	daemon := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "drainer", Name: "drainer", Labels: map[string]string{"app.kubernetes.io/name": "drainer"}}}
	daemon.Spec.Template.Spec.Containers = []corev1.Container{{Name: "drainer"}}
	client := fake.NewClientset(append(m.list(), daemon)...)
	got := cli.Run(ctx, cli.Options{
		In: strings.NewReader(""), Out: program, ErrOut: program, Now: func() time.Time { return m.At },
		Connect: func() (kubernetes.Interface, error) { return client, nil },
		Daemon:  func(func() (*rest.Config, error)) cli.Daemon { return defaults{} },
		Judge:   func(context.Context, *rest.Config) (cli.JudgeFunc, error) { return m.judge, nil },
	}, args)
	program.Close()
	text := <-shown
	if got != status {
		return nil, fmt.Errorf("kubectl drainer %s ended with %d, want %d:\n%s", strings.Join(args, " "), got, status, text)
	}
	return terminal.Show(text, width), nil
}

// judge answers as the API server did.
func (m *moment) judge(_ context.Context, pod *plan.Pod, _ *int64) (int, error) {
	if status, refused := m.Refusals[pod.Key()]; refused {
		return int(status.Code), &apierrors.StatusError{ErrStatus: status}
	}
	return admitted, nil
}

// defaults are those of the daemon.
type defaults struct{}

// Add implements cli.Daemon.
func (defaults) Add(*pflag.FlagSet) {}

// Check implements cli.Daemon.
func (defaults) Check() error { return nil }

// Overrides implements cli.Daemon.
func (defaults) Overrides() []string { return nil }

// Named implements cli.Daemon.
func (defaults) Named() bool { return false }

// Assume implements cli.Daemon.
func (defaults) Assume(*cli.Running) error { return nil }

// Complete implements cli.Daemon.
func (defaults) Complete() error { return nil }

// Simulation implements cli.Daemon.
func (defaults) Simulation() simulate.Options {
	c := config.Default(namespace)
	return simulate.Options{
		Daemon: forecast.Options{
			Config: c.Plan(), Selectors: c.Selectors(), QPS: c.Eviction.QPS, Burst: c.Eviction.Burst, Workers: c.Eviction.Workers,
			EvictionTimeout: c.Eviction.Timeout.Duration,
		},
		Latency: 10 * time.Millisecond, ControllerDelay: 20 * time.Millisecond, Limit: 24 * time.Hour,
	}
}

// drawAll writes all pictures.
func drawAll(ctx context.Context, root string) error {
	// The plugin asks the environment what its terminal can do.
	for name, value := range map[string]string{"TERM": "xterm-256color", "NO_COLOR": ""} {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	for _, s := range shots {
		picture, err := s.draw(ctx, root)
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.file(root), []byte(picture), 0o644); err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		fmt.Println("Drawn:", s.file(root))
	}
	return nil
}
