//go:build !linux

package cluster

import "syscall"

// childAttributes: only Linux can bind a child's life to its parent's.
func childAttributes() *syscall.SysProcAttr { return nil }
