// Command generate writes the reference of the configuration file. It runs at
// the root of the checkout.
package main

import (
	"fmt"
	"os"

	"drainer.dev/drainer/test/configuration"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write() error {
	files, err := configuration.Files(".")
	if err != nil {
		return err
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
