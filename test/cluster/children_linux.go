package cluster

import "syscall"

// ChildAttributes lets a process die with the one that started it, even if
// that is killed.
func ChildAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
