package cluster

import "syscall"

// childAttributes lets a component die with its keeper, even if that is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
