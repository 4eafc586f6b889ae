package kubelet

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network gives every pod an address of its own behind the machine's.
const network = `{"cniVersion": "1.0.0", "name": "ptp", "plugins": [{"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/24"}]]}}]}
`

// kubeletConfiguration needs no cgroup hierarchy of its own, no ports and no
// certificates: the kubelet runs beside others on somebody's machine.
const kubeletConfiguration = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
staticPodPath: %s
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, imagefs.available: 0%%}
imageGCHighThresholdPercent: 100
address: 127.0.0.1
port: 0
healthzPort: 0
readOnlyPort: 0
`

// Where containerd 2 and those before have the same settings.
const (
	containerd2 = `version = 3
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [%[1]q]
  conf_dir = %[2]q
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %[3]q
`
	containerd1 = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = %[3]q
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = %[1]q
  conf_dir = %[2]q
`
	containerdFolders = `root = %q
state = %q
[grpc]
  address = %q
`
)

// writeSettings writes what containerd and the kubelet read.
func (m *machine) writeSettings() error {
	version, err := exec.Command("containerd", "--version").Output()
	if err != nil {
		return fmt.Errorf("asking for containerd's version: %w", err)
	}
	plugin := containerd1
	if fields := strings.Fields(string(version)); len(fields) > 2 && strings.HasPrefix(strings.TrimPrefix(fields[2], "v"), "2.") {
		plugin = containerd2
	}
	first, rest, _ := strings.Cut(fmt.Sprintf(plugin, plugins, m.path("cni"), sandboxImage), "\n")
	for path, text := range map[string]string{
		m.path("cni/10-ptp.conflist"): network,
		m.path("kubelet.yaml"):        fmt.Sprintf(kubeletConfiguration, m.socket(), m.manifests),
		m.path("containerd.toml"):     first + "\n" + fmt.Sprintf(containerdFolders, m.path("root"), m.path("state"), m.socket()) + rest,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the settings of the kubelet: %w", err)
		}
	}
	return nil
}
