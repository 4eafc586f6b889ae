package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/test/await"
)

// Cluster is a running cluster.
type Cluster struct {
	State
	// Dir holds the cluster's files: kubeconfig, logs, audit log.
	Dir string
	// Binaries holds kubectl and the components.
	Binaries string

	ca     []byte
	keeper *exec.Cmd
	// alive is held open as long as the keeper is to keep the cluster.
	alive io.Closer
}

// Options is how a cluster is started.
type Options struct {
	// Dir is made if it is missing.
	Dir string
	// WithoutKubectl is for who does not call Kubectl: it need not be built.
	WithoutKubectl bool
	// Outlive keeps the cluster running when this process ends.
	Outlive bool
	// Progress is written for a person.
	Progress io.Writer
}

// Start builds what is missing and starts a cluster in a folder where none
// runs. Unless it is to outlive this process it ends with it. The program must
// have called KeeperMain.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if !mayKeep {
		return nil, errNoKeeper
	}
	build := Binaries
	if o.WithoutKubectl {
		build = BinariesWithoutKubectl
	}
	binaries, err := build(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the cluster's folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cluster's folder: %w", err)
	}
	if _, err := Open(dir); err == nil {
		return nil, fmt.Errorf("a cluster runs in %s already", dir)
	}
	if err := os.Remove(filepath.Join(dir, auditLogFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the audit log of the cluster before: %w", err)
	}
	c := &Cluster{Dir: dir, Binaries: binaries}
	if err := c.startKeeper(ctx, o); err != nil {
		return nil, err
	}
	return c, c.readCA()
}

func (c *Cluster) startKeeper(ctx context.Context, o Options) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	text, err := json.Marshal(order{Dir: c.Dir, Binaries: c.Binaries, Outlive: o.Outlive})
	if err != nil {
		return fmt.Errorf("writing the keeper's order: %w", err)
	}
	log, err := os.Create(filepath.Join(c.Dir, "keeper.log"))
	if err != nil {
		return fmt.Errorf("making the keeper's log: %w", err)
	}
	defer log.Close()
	c.keeper = exec.Command(program)
	c.keeper.Env = append(os.Environ(), keeperVariable+"="+string(text))
	c.keeper.Stderr = log
	// Ctrl-C in a terminal is for the program, which ends the cluster itself.
	c.keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, err := c.keeper.StdoutPipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	if c.alive, err = c.keeper.StdinPipe(); err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	if err := c.keeper.Start(); err != nil {
		return fmt.Errorf("starting the cluster's keeper: %w", err)
	}
	// The keeper then says what the cluster was waiting for.
	defer context.AfterFunc(ctx, func() { _ = c.keeper.Process.Signal(syscall.SIGTERM) })()
	state, err := hear(json.NewDecoder(said), o.Progress)
	if err != nil {
		_ = c.keeper.Wait()
		return fmt.Errorf("starting a cluster in %s: %w; %s", c.Dir, err, lastLines(log.Name(), 10))
	}
	c.State = *state
	return nil
}

// hear passes on what the keeper says until the cluster runs.
func hear(reports *json.Decoder, progress io.Writer) (*State, error) {
	for {
		var r report
		if err := reports.Decode(&r); err != nil {
			return nil, fmt.Errorf("the cluster's keeper ended: %w", err)
		}
		switch {
		case r.State != nil:
			return r.State, nil
		case r.Error != "":
			return nil, errors.New(r.Error)
		}
		fmt.Fprint(progress, r.Progress)
	}
}

// Open finds the cluster that runs in a folder.
func Open(dir string) (*Cluster, error) {
	text, err := os.ReadFile(filepath.Join(dir, clusterStateFile))
	if err != nil {
		return nil, fmt.Errorf("no cluster runs in %s: %w", dir, err)
	}
	c := &Cluster{Dir: dir}
	if err := json.Unmarshal(text, &c.State); err != nil {
		return nil, fmt.Errorf("reading the state of the cluster in %s: %w", dir, err)
	}
	if err := syscall.Kill(c.Keeper, 0); err != nil {
		return nil, fmt.Errorf("the cluster in %s has ended: %w", dir, err)
	}
	return c, c.readCA()
}

func (c *Cluster) readCA() (err error) {
	if c.ca, err = os.ReadFile(filepath.Join(c.Dir, caFile)); err != nil {
		return fmt.Errorf("reading the cluster's certificate: %w", err)
	}
	return nil
}

// Stop ends the cluster and returns when its processes have ended. Its logs
// stay in Dir.
func (c *Cluster) Stop() error {
	if err := syscall.Kill(c.Keeper, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping the cluster in %s: %w", c.Dir, err)
	}
	if c.keeper != nil {
		// How it ended no longer matters. This also closes alive.
		_ = c.keeper.Wait()
		return nil
	}
	return c.AwaitEnd(context.Background(), os.Stderr)
}

// AwaitEnd returns once the cluster's processes have ended. Progress is written
// for a person.
func (c *Cluster) AwaitEnd(ctx context.Context, progress io.Writer) error {
	unlock, err := lockFolder(ctx, c.Dir, await.Waiter{Progress: progress})
	if err != nil {
		return err
	}
	unlock()
	return nil
}

// Config is for a client with all permissions and no limit of its own.
func (c *Cluster) Config() *rest.Config {
	return &rest.Config{
		Host: c.URL, BearerToken: c.AdminToken, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: c.ca},
	}
}

// Client is a client with all permissions.
func (c *Cluster) Client() (*kubernetes.Clientset, error) { return kubernetes.NewForConfig(c.Config()) }

// Kubeconfig is the path of a kubeconfig with all permissions.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, adminKubeconfig) }

// Kubectl is the path of a kubectl of the cluster's version.
func (c *Cluster) Kubectl() string { return filepath.Join(c.Binaries, "kubectl") }

// Address is where a program reaches the API server, and the certificate by which
// it knows it.
type Address struct {
	URL string
	CA  []byte
	// TokenFile is the file that the program reads its token from, again and
	// again; it gets a token of its own, for a day, if this is empty.
	TokenFile string
}

// ServiceAccountKubeconfig writes a kubeconfig by which a program is the
// ServiceAccount and nobody else.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name, path string) error {
	return c.ServiceAccountKubeconfigAt(ctx, Address{URL: c.URL, CA: c.ca}, namespace, name, path)
}

// ServiceAccountKubeconfigAt is ServiceAccountKubeconfig for a program that
// reaches the API server at another address.
func (c *Cluster) ServiceAccountKubeconfigAt(ctx context.Context, at Address, namespace, name, path string) error {
	if at.TokenFile != "" {
		return writeKubeconfig(path, at, "")
	}
	client, err := c.Client()
	if err != nil {
		return err
	}
	hours := int64(24 * 3600)
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hours}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("getting a token for service account %s/%s: %w", namespace, name, err)
	}
	return writeKubeconfig(path, at, token.Status.Token)
}
