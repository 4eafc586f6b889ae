// Command generate writes the dashboards into a folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"drainer.dev/drainer/test/monitoring/dashboards"
)

func main() {
	out := flag.String("out", "../../charts/drainer/dashboards", "folder to write to")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder for dashboards: %w", err)
	}
	for name, dashboard := range dashboards.All() {
		text, err := dashboards.JSON(dashboard)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name+".json"), text, 0o644); err != nil {
			return fmt.Errorf("writing a dashboard: %w", err)
		}
	}
	return nil
}
