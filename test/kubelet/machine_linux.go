package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster"
)

// machine is a kubelet with its containerd, which run until stop.
type machine struct {
	// node is the name by which it joins the cluster.
	node, dir string
	// manifests is the folder of its static pods.
	manifests           string
	containerd, kubelet *exec.Cmd
}

// startMachine lets a kubelet join the cluster. What was started is left to stop,
// also if there is an error.
func startMachine(ctx context.Context, c *cluster.Cluster, dir, node string, progress io.Writer) (*machine, error) {
	m := &machine{node: node, dir: dir, manifests: filepath.Join(dir, "manifests")}
	for _, folder := range []string{m.manifests, filepath.Join(dir, "cni")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return m, fmt.Errorf("making a folder of the kubelet: %w", err)
		}
	}
	program, err := cluster.Kubelet(ctx, progress)
	if err != nil {
		return m, err
	}
	for _, step := range []func() error{
		m.writeSettings,
		func() error { return m.startContainerd(ctx, progress) },
		func() error { return m.importImages(ctx) },
		func() error { return m.startKubelet(c, program) },
	} {
		if err := step(); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) socket() string { return m.path("containerd.sock") }

func (m *machine) startContainerd(ctx context.Context, progress io.Writer) (err error) {
	if m.containerd, err = m.start("containerd", "-c", m.path("containerd.toml")); err != nil {
		return err
	}
	patience := await.Waiter{Progress: progress}
	return patience.Until(ctx, "containerd answers", func() error {
		if out, err := m.ctr(ctx, "version"); err != nil {
			return await.NotYet("%v: %s", err, out)
		}
		return nil
	})
}

func (m *machine) startKubelet(c *cluster.Cluster, program string) (err error) {
	m.kubelet, err = m.start(program, "--kubeconfig="+c.Kubeconfig(), "--config="+m.path("kubelet.yaml"), "--root-dir="+m.path("pods"),
		"--cert-dir="+m.path("pki"), "--hostname-override="+m.node, "--v=2")
	return err
}

// start runs a program with its output in a log. It dies with this process.
func (m *machine) start(program string, args ...string) (*exec.Cmd, error) {
	name := filepath.Base(program)
	log, err := os.Create(m.path(name + ".log"))
	if err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", name, err)
	}
	defer log.Close()
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr, command.SysProcAttr = log, log, cluster.ChildAttributes()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return command, nil
}

// importImages builds the containers' program, and gives it to containerd as both
// images.
func (m *machine) importImages(ctx context.Context) error {
	program := m.path("container")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./container")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building what runs in the containers: %w\n%s", err, out)
	}
	for _, image := range []string{sandboxImage, containerImage} {
		path := m.path("image.tar")
		if err := writeImage(path, image, program); err != nil {
			return err
		}
		if out, err := m.ctr(ctx, "images", "import", "--snapshotter=native", path); err != nil {
			return fmt.Errorf("importing %s: %w\n%s", image, err, out)
		}
	}
	return nil
}

// ctr asks containerd about what the kubelet runs there.
func (m *machine) ctr(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address=" + m.socket(), "--namespace=k8s.io"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// running are the pods, by namespace and name, that have a running container
// other than the one that holds their network.
func (m *machine) running(ctx context.Context) (map[string]bool, error) {
	out, err := m.ctr(ctx, "tasks", "list")
	if err != nil {
		return nil, fmt.Errorf("listing what runs: %w\n%s", err, out)
	}
	pods := map[string]bool{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "RUNNING" {
			continue
		}
		var container struct{ Labels map[string]string }
		info, err := m.ctr(ctx, "containers", "info", fields[0])
		if err == nil {
			err = json.Unmarshal([]byte(info), &container)
		}
		if err != nil {
			return nil, fmt.Errorf("asking what container %s is: %w\n%s", fields[0], err, info)
		}
		if container.Labels["io.cri-containerd.kind"] == "container" {
			pods[container.Labels["io.kubernetes.pod.namespace"]+"/"+container.Labels["io.kubernetes.pod.name"]] = true
		}
	}
	return pods, nil
}

// stop ends everything that was started. containerd's shims outlive it, and with
// them the containers.
func (m *machine) stop(ctx context.Context) error {
	if m == nil {
		return nil
	}
	var problems []error
	end := func(command *exec.Cmd) {
		if command == nil || command.Process == nil {
			return
		}
		_ = command.Process.Signal(syscall.SIGCONT)
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	end(m.kubelet)
	if m.containerd != nil {
		_ = m.containerd.Process.Signal(syscall.SIGCONT)
		tasks, err := m.ctr(ctx, "tasks", "list", "--quiet")
		problems = append(problems, err)
		for _, id := range strings.Fields(tasks) {
			if out, err := m.ctr(ctx, "tasks", "delete", "--force", id); err != nil {
				problems = append(problems, fmt.Errorf("ending container %s: %w\n%s", id, err, out))
			}
		}
	}
	end(m.containerd)
	return errors.Join(append(problems, m.unmount())...)
}

// unmount releases what containers and volumes have mounted in the folder, the
// innermost first.
func (m *machine) unmount() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("reading what is mounted: %w", err)
	}
	var mounted []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], m.dir+"/") {
			mounted = append([]string{fields[4]}, mounted...)
		}
	}
	var problems []error
	for _, at := range mounted {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			problems = append(problems, fmt.Errorf("unmounting %s: %w", at, err))
		}
	}
	return errors.Join(problems...)
}
