package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"drainer.dev/drainer/test/cluster"
)

// Stage is a local cluster, and drainer built to run beside it.
type Stage struct {
	Cluster *cluster.Cluster
	Client  *kubernetes.Clientset
	// Drainer is the path of the program.
	Drainer string

	mu sync.Mutex
	// logs are those of the processes that were started.
	logs []string
}

// NewStage starts a cluster in a folder while it builds drainer there. Nothing
// is left to stop if there is an error.
func NewStage(ctx context.Context, dir string, progress io.Writer) (*Stage, error) {
	// First, so that what both need is compiled once.
	if _, err := cluster.Binaries(ctx, progress); err != nil {
		return nil, err
	}
	s := &Stage{Drainer: filepath.Join(dir, "drainer")}
	built := make(chan error, 1)
	go func() { built <- Build(ctx, s.Drainer) }()
	var err error
	s.Cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Progress: progress})
	if err := errors.Join(err, <-built); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if s.Client, err = s.Cluster.Client(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Stop ends the cluster, and fails if a log of drainer has a secret. It may be called
// on a stage that was not made.
func (s *Stage) Stop() error {
	if s == nil || s.Cluster == nil {
		return nil
	}
	return errors.Join(s.Cluster.Stop(), s.checkLogs())
}

// Log is where the process of the name writes its log.
func (s *Stage) Log(name string) string { return filepath.Join(s.Cluster.Dir, "logs", name+".log") }

// Run starts drainer as a ServiceAccount. The name is for its log.
func (s *Stage) Run(ctx context.Context, account types.NamespacedName, name string, environment []string, flags ...string) (*Process, error) {
	return s.RunAt(ctx, nil, account, name, environment, flags...)
}

// RunAt is Run for a drainer that reaches the API server at another address; nil
// for its own.
func (s *Stage) RunAt(
	ctx context.Context, at *cluster.Address, account types.NamespacedName, name string, environment []string, flags ...string,
) (*Process, error) {
	kubeconfig := filepath.Join(s.Cluster.Dir, "logs", name+".kubeconfig")
	write := s.Cluster.ServiceAccountKubeconfig
	if at != nil {
		write = func(ctx context.Context, namespace, name, path string) error {
			return s.Cluster.ServiceAccountKubeconfigAt(ctx, *at, namespace, name, path)
		}
	}
	if err := write(ctx, account.Namespace, account.Name, kubeconfig); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.logs = append(s.logs, s.Log(name))
	s.mu.Unlock()
	environment = append([]string{"POD_NAMESPACE=" + account.Namespace}, environment...)
	p, err := Start(ctx, s.Drainer, s.Log(name), environment, append([]string{
		"--kubeconfig=" + kubeconfig, "--leader-elect-resource-namespace=" + account.Namespace,
	}, flags...)...)
	if err != nil {
		return nil, err
	}
	if p.Token, p.Credential, err = credentialOf(kubeconfig); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// credentialOf is the ServiceAccount token in a kubeconfig, and its ID as the API
// server's audit log shows it.
func credentialOf(kubeconfig string) (token, credential string, err error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return "", "", fmt.Errorf("reading the token of drainer: %w", err)
	}
	var claims struct {
		ID string `json:"jti"`
	}
	parts := strings.Split(config.BearerToken, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		return "", "", fmt.Errorf("reading the claims of drainer's token: %w", err)
	}
	return config.BearerToken, "JTI=" + claims.ID, nil
}

// ExpireLease lets the lease of a drainer that was killed run out after a
// second, and not after the rest of its term.
func (s *Stage) ExpireLease(ctx context.Context, namespace string) error {
	_, err := s.Client.CoordinationV1().Leases(namespace).Patch(ctx, "drainer", types.MergePatchType,
		[]byte(`{"spec":{"leaseDurationSeconds":1}}`), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("letting the lease in %s run out: %w", namespace, err)
	}
	return nil
}
