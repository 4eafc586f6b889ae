//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "pictures: needs Linux, for its pseudo-terminals")
	os.Exit(1)
}
