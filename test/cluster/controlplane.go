package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"drainer.dev/drainer/test/await"
)

// KwokLabel is on the nodes that kwok plays the kubelet of; its value is
// KwokValue.
const (
	KwokLabel = "drainer.dev.test/kubelet"
	KwokValue = "kwok"
)

// State is what a running cluster's folder says of it.
type State struct {
	URL string
	// Keeper is the process that looks after it.
	Keeper int
	// AdminToken is of the group system:masters.
	AdminToken string
	// Processes are the IDs of the programs' processes, by their names.
	Processes map[string]int
}

// controlPlane is the processes of a cluster.
type controlPlane struct {
	dir, binaries string
	state         State
	// ca is the certificate by which clients know the API server.
	ca []byte

	mu        sync.Mutex
	processes map[string]*process
	ended     sync.WaitGroup
	stopping  bool
	// failed is told of the first process that ends by itself.
	failed chan error
}

// startControlPlane returns once the API server is ready. The caller stops
// what was returned also when there is an error.
func startControlPlane(ctx context.Context, dir, binaries string, patience await.Waiter) (*controlPlane, error) {
	p := &controlPlane{dir: dir, binaries: binaries, failed: make(chan error, 1), processes: map[string]*process{}}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return p, fmt.Errorf("making the cluster's folder: %w", err)
	}
	var err error
	if p.ca, err = makeKeys(dir); err != nil {
		return p, err
	}
	users, err := makeTokens(dir, []user{
		{name: "admin", group: "system:masters"},
		{name: "kwok", group: "system:masters"},
		{name: "system:kube-controller-manager"},
		{name: "system:kube-scheduler"},
	})
	if err != nil {
		return p, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return p, err
	}
	p.state = State{URL: "https://127.0.0.1:" + ports[0], Keeper: os.Getpid(), AdminToken: users[0].token}
	for i, name := range []string{adminKubeconfig, "kwok", "kube-controller-manager", "kube-scheduler"} {
		if err := writeKubeconfig(filepath.Join(dir, kubeconfigOf(name)), Address{URL: p.state.URL, CA: p.ca}, users[i].token); err != nil {
			return p, err
		}
	}
	if err := writeFile(filepath.Join(dir, auditPolicyFile), []byte(auditPolicy)); err != nil {
		return p, err
	}
	for _, start := range []func() error{
		func() error { return p.startEtcd(ports[1], ports[2]) },
		func() error { return p.startAPIServer(ports[0], ports[1]) },
		func() error { return p.waitReady(ctx, patience) },
		p.startControllers,
		func() error { return p.writeState() },
	} {
		if err := start(); err != nil {
			return p, err
		}
	}
	return p, nil
}

func kubeconfigOf(name string) string {
	if name == adminKubeconfig {
		return name
	}
	return name + ".kubeconfig"
}

func (p *controlPlane) path(name string) string { return filepath.Join(p.dir, name) }

func (p *controlPlane) startEtcd(client, peer string) error {
	return p.start("etcd", nil,
		"--data-dir="+p.path(etcdDir), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=http://127.0.0.1:"+client, "--advertise-client-urls=http://127.0.0.1:"+client,
		"--listen-peer-urls=http://127.0.0.1:"+peer, "--initial-advertise-peer-urls=http://127.0.0.1:"+peer,
		"--initial-cluster=default=http://127.0.0.1:"+peer,
	)
}

func (p *controlPlane) startAPIServer(port, etcd string) error {
	return p.start("kube-apiserver", nil,
		"--etcd-servers=http://127.0.0.1:"+etcd,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+port,
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24", "--cert-dir="+p.dir,
		"--tls-cert-file="+p.path(servingCertFile), "--tls-private-key-file="+p.path(servingKeyFile),
		"--token-auth-file="+p.path(tokensFile), "--authorization-mode=RBAC,Node",
		"--service-account-issuer="+serviceIssuer,
		"--service-account-key-file="+p.path(servicePubFile), "--service-account-signing-key-file="+p.path(serviceKeyFile),
		// Without it every pod needs a token that no kubelet would mount.
		"--disable-admission-plugins=ServiceAccount",
		"--audit-policy-file="+p.path(auditPolicyFile), "--audit-log-path="+p.path(auditLogFile), "--audit-log-maxsize=0",
		"--profiling=false",
	)
}

// startControllers starts what only talks to the API server. At their default
// of 20 requests a second the controllers, and not the drain, would set the
// pace.
func (p *controlPlane) startControllers() error {
	fast := []string{"--kube-api-qps=2000", "--kube-api-burst=4000", "--leader-elect=false", "--secure-port=0", "--profiling=false"}
	return errors.Join(
		p.start("kube-controller-manager", nil, append([]string{
			"--kubeconfig=" + p.path(kubeconfigOf("kube-controller-manager")),
			"--use-service-account-credentials", "--service-account-private-key-file=" + p.path(serviceKeyFile),
			"--root-ca-file=" + p.path(caFile),
			// A busy machine must not make nodes look dead.
			"--node-monitor-grace-period=5m",
		}, fast...)...),
		p.start("kube-scheduler", nil, append([]string{"--kubeconfig=" + p.path(kubeconfigOf("kube-scheduler"))}, fast...)...),
		p.start("kwok", []string{"HOME=" + p.dir}, "--kubeconfig="+p.path(kubeconfigOf("kwok")),
			"--config="+filepath.Join(p.binaries, stagesFile), "--v=WARN",
			"--manage-nodes-with-label-selector="+KwokLabel+"="+KwokValue, "--node-lease-duration-seconds=40"),
	)
}

func (p *controlPlane) waitReady(ctx context.Context, patience await.Waiter) error {
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: p.state.URL, BearerToken: p.state.AdminToken, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: p.ca},
	})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return patience.Until(ctx, "the API server is ready", func() error {
		select {
		case err := <-p.failed:
			return err
		default:
		}
		err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			_, err = client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		}
		if err != nil {
			return await.NotYet("%v; the end of its log:\n%s", err, lastLines(p.path("logs/kube-apiserver.log"), 3))
		}
		return nil
	})
}

func (p *controlPlane) writeState() error {
	p.state.Processes = map[string]int{}
	p.mu.Lock()
	for name, is := range p.processes {
		p.state.Processes[name] = is.Process.Pid
	}
	p.mu.Unlock()
	text, err := json.Marshal(p.state)
	if err != nil {
		return fmt.Errorf("writing the cluster's state: %w", err)
	}
	return writeFile(p.path(clusterStateFile), text)
}

// freePorts finds ports of the loopback that nobody listens on.
func freePorts(n int) ([]string, error) {
	ports := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close()
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			ports = append(ports, strconv.Itoa(a.Port))
		}
	}
	return ports, nil
}

// writeKubeconfig writes a kubeconfig with the token, unless the address says which
// file has it.
func writeKubeconfig(path string, at Address, token string) error {
	config := clientcmdapi.NewConfig()
	const name = "drainer-local"
	config.Clusters[name] = &clientcmdapi.Cluster{Server: at.URL, CertificateAuthorityData: at.CA}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token, TokenFile: at.TokenFile}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return nil
}

func lastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
