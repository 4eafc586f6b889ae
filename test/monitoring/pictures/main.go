// Command pictures draws the dashboards for the documentation: it runs a real
// drain that a real Prometheus scrapes, asks what Grafana would ask, and has a
// browser without a screen draw the answers. It is not Grafana: the layout,
// the units and the colours are the dashboards', the drawing is not.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/monitoring/dashboards"
	"drainer.dev/drainer/test/monitoring/stage"
)

func main() {
	cluster.KeeperMain()
	out := flag.String("out", "../../docs/pictures", "folder to write to")
	here := flag.String("page", "pictures", "folder of the page that draws, after npm ci in it")
	keep := flag.String("keep", "", "folder for the pages themselves; without it they are thrown away")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *out, *here, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, here, keep string) error {
	browser, err := findBrowser()
	if err != nil {
		return err
	}
	library, err := os.ReadFile(filepath.Join(here, "node_modules/echarts/dist/echarts.min.js"))
	if err != nil {
		return fmt.Errorf("reading the chart library (npm ci in %s): %w", here, err)
	}
	dir, err := os.MkdirTemp("", "drainer-pictures-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	pages := keep
	if pages == "" {
		pages = dir
	}
	if err := os.MkdirAll(pages, 0o755); err != nil {
		return fmt.Errorf("making the folder of the pages: %w", err)
	}
	if err := record(ctx, dir, pages, here, library); err != nil {
		return err
	}
	return draw(ctx, browser, pages, out)
}

// findBrowser finds a Chromium.
func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no chromium, chromium-browser or google-chrome in PATH")
}

// record plays the drain and writes a page for each dashboard.
func record(ctx context.Context, dir, pages, here string, library []byte) (err error) {
	s, err := stage.Start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	p, begun, err := play(ctx, s, filepath.Join(dir, "prometheus"))
	if p != nil {
		defer p.Kill()
	}
	if err != nil {
		return err
	}
	ended := time.Now()
	for name, d := range dashboards.All() {
		board, err := answer(ctx, p, d, begun, ended)
		if err != nil {
			return err
		}
		if err := writePage(filepath.Join(pages, name+".html"), here, library, board); err != nil {
			return err
		}
	}
	return nil
}

// width is of the pictures, in pixels.
const width = 1500

// draw has the browser draw every page.
func draw(ctx context.Context, browser, pages, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("making the folder of the pictures: %w", err)
	}
	absolute, err := filepath.Abs(pages)
	if err != nil {
		return fmt.Errorf("finding the pages: %w", err)
	}
	for name, d := range dashboards.All() {
		picture, err := filepath.Abs(filepath.Join(out, name+".png"))
		if err != nil {
			return fmt.Errorf("finding the pictures: %w", err)
		}
		command := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
			"--virtual-time-budget=5000", fmt.Sprintf("--window-size=%d,%d", width, height(d)),
			"--screenshot="+picture, "file://"+filepath.Join(absolute, name+".html"))
		if text, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("drawing %s: %w\n%s", name, err, text)
		}
		fmt.Println("wrote", picture)
	}
	return nil
}

// height is how tall the page becomes: the head, and 38 pixels for each line
// of the grid, as in page.html.
func height(d dashboards.Dashboard) int {
	lines := 0
	for _, p := range d.Panels {
		lines = max(lines, p.GridPos.Y+p.GridPos.H)
	}
	return 96 + 38*lines
}
