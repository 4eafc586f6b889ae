//go:build !linux

package kubelet

import "errors"

func missing() error { return errors.New("a kubelet needs Linux") }
