package kubelet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// plugins is where Debian's containernetworking-plugins are.
const plugins = "/usr/lib/cni"

// missing is what the machine lacks to run a kubelet; nil if that is nothing.
func missing() error {
	var problems []error
	if os.Geteuid() != 0 {
		problems = append(problems, errors.New("a kubelet runs as root: expected the user root; use sudo"))
	}
	for _, program := range []string{"containerd", "ctr", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			problems = append(problems, fmt.Errorf("%s is not installed: on Debian and Ubuntu, apt-get install containerd runc", program))
		}
	}
	for _, plugin := range []string{"ptp", "host-local"} {
		if _, err := os.Stat(filepath.Join(plugins, plugin)); err != nil {
			problems = append(problems, fmt.Errorf("%s has no %s: on Debian and Ubuntu, apt-get install containernetworking-plugins", plugins, plugin))
		}
	}
	return errors.Join(problems...)
}
