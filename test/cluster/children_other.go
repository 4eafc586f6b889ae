//go:build !linux

package cluster

import "syscall"

// ChildAttributes: only Linux can bind a child's life to its parent's.
func ChildAttributes() *syscall.SysProcAttr { return nil }
