package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pinning is a copy of what pin-images works on, and a registry of its own.
type pinning struct {
	t   *testing.T
	dir string
}

func newPinning(t *testing.T) pinning {
	t.Helper()
	dir := t.TempDir()
	copyTo(t, dir, []string{"Dockerfile", ".github/pin-images", ".github/workflows/release.yml"})
	return pinning{t, dir}
}

// run runs the script where a registry says that digest of every image.
func (p pinning) run(digest string, args ...string) (string, error) {
	p.t.Helper()
	programs := p.t.TempDir()
	docker := "#!/bin/sh\ntest \"$1 $2 $3\" = 'buildx imagetools inspect' || exit 1\necho '" + digest + "'\n"
	if err := os.WriteFile(filepath.Join(programs, "docker"), []byte(docker), 0o755); err != nil {
		p.t.Fatal(err)
	}
	command := exec.CommandContext(p.t.Context(), "bash", append([]string{filepath.Join(p.dir, ".github", "pin-images")}, args...)...)
	command.Env = append(os.Environ(), "PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	return string(out), err
}

// unpinned is the text without digests.
func unpinned(text string) string {
	return regexp.MustCompile(`@sha256:[0-9a-f]{64}`).ReplaceAllString(text, "")
}

func (p pinning) read(file string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// TestPinImages: the script pins every image that the build takes from
// elsewhere, changes nothing else, and replaces a digest by a newer one.
func TestPinImages(t *testing.T) {
	p := newPinning(t)
	digests := []string{"sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("b", 64)}
	for _, digest := range digests {
		if said, err := p.run(digest); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		dockerfile := p.read("Dockerfile")
		for _, want := range []string{
			"# syntax=docker/dockerfile:1@" + digest + "\n",
			"FROM --platform=$BUILDPLATFORM golang:1.26.8@" + digest + " AS build\n",
			"FROM gcr.io/distroless/static-debian13:nonroot@" + digest + "\n",
		} {
			if !strings.Contains(dockerfile, want) {
				t.Errorf("%q is not in\n%s", want, dockerfile)
			}
		}
		if want := "BUILDKIT: moby/buildkit:v0.34.2@" + digest + "\n"; !strings.Contains(p.read(".github/workflows/release.yml"), want) {
			t.Errorf("%q is not in the release workflow", want)
		}
		for _, file := range []string{"Dockerfile", ".github/workflows/release.yml"} {
			if got := strings.ReplaceAll(p.read(file), "@"+digest, ""); got != unpinned(read(t, file)) {
				t.Errorf("%s is changed beyond digests:\n%s", file, got)
			}
		}
	}
	// The linter takes an image with a digest, too.
	for _, found := range findings(t, p.read("Dockerfile")) {
		t.Error(found)
	}
}

// TestPinImagesCheck: with --check the script fails unless every image is
// pinned, and names those that are not.
func TestPinImagesCheck(t *testing.T) {
	p := newPinning(t)
	if said, err := p.run("sha256:" + strings.Repeat("a", 64)); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if said, err := p.run("", "--check"); err != nil {
		t.Errorf("with all images pinned: %v\n%s", err, said)
	}
	for _, file := range []string{"Dockerfile", ".github/workflows/release.yml"} {
		pinnedText := p.read(file)
		for line := range strings.Lines(pinnedText) {
			image, _, found := strings.Cut(line, "@sha256:")
			if !found {
				continue
			}
			image = image[strings.LastIndexAny(image, " =")+1:]
			worse := strings.Replace(pinnedText, line, unpinned(line), 1)
			if err := os.WriteFile(filepath.Join(p.dir, file), []byte(worse), 0o600); err != nil {
				t.Fatal(err)
			}
			if said, err := p.run("", "--check"); err == nil || strings.TrimSpace(said) != image+" is not pinned by digest; docs/releasing.md says how" {
				t.Errorf("without the digest of %s: %v\n%s", image, err, said)
			}
		}
		if err := os.WriteFile(filepath.Join(p.dir, file), []byte(pinnedText), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPinImagesAnswer: what is no digest is not written.
func TestPinImagesAnswer(t *testing.T) {
	p := newPinning(t)
	before := p.read("Dockerfile")
	if said, err := p.run("no such image"); err == nil || !strings.Contains(said, "no such image") {
		t.Errorf("an answer that is no digest is taken: %v\n%s", err, said)
	}
	if p.read("Dockerfile") != before {
		t.Error("the Dockerfile is changed anyway")
	}
}
