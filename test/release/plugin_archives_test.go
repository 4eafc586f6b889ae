package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestPluginArchives: an archive of the plugin has the program under the name by
// which kubectl finds it, and the license; krew's manifest has its digest. Twice
// the same version gives the same bytes.
func TestPluginArchives(t *testing.T) {
	if said, err := script(t, nil, "plugin-archives"); err == nil || !strings.Contains(said, "expected a version such as v1.2.3") {
		t.Errorf("without a version: %v\n%s", err, said)
	}
	dir := t.TempDir()
	copyTo(t, dir, append(imageContext(t), ".github/plugin-archives"))
	archive := filepath.Join(dir, "dist", "kubectl-drainer-"+version+"-linux-"+runtime.GOARCH+".tar.gz")
	var before []byte
	for range 2 {
		run(t, dir, []string{"GOFLAGS=-buildvcs=auto", "COMMIT=" + commit, "SOURCE_DATE_EPOCH=1900000000"},
			"bash", ".github/plugin-archives", version, "linux/"+runtime.GOARCH)
		now, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(before, now) {
			t.Error("two archives of the same version differ")
		}
		before = now
	}
	if sum := sha256.Sum256(before); !strings.Contains(readIn(t, dir, "dist/drainer.yaml"), "sha256: "+hex.EncodeToString(sum[:])+"\n") {
		t.Errorf("the digest of the archive is not in\n%s", readIn(t, dir, "dist/drainer.yaml"))
	}
	files := unpack(t, before)
	if len(files) != 2 || string(files["LICENSE"]) != read(t, "LICENSE") {
		t.Errorf("the archive has %d files, and LICENSE is %d bytes", len(files), len(files["LICENSE"]))
	}
	program := filepath.Join(t.TempDir(), "kubectl-drainer")
	if err := os.WriteFile(program, files["kubectl-drainer"], 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "version", "--client").CombinedOutput()
	if want := "Client: " + version + " (" + commit + ")\n"; err != nil || string(out) != want {
		t.Errorf("the program says %q, error %v, want %q", out, err, want)
	}
}

// TestPluginPlatforms: krew's manifest has an archive for each platform, with the
// program under the name that the platform needs.
func TestPluginPlatforms(t *testing.T) {
	dir, fake := t.TempDir(), t.TempDir()
	copyTo(t, dir, []string{".github/plugin-archives", "LICENSE"})
	// In place of a build: what is built is another test's concern.
	builds := "#!/bin/sh\nmkdir -p bin && echo \"$GOOS/$GOARCH\" >bin/drainer\n"
	if err := os.WriteFile(filepath.Join(fake, "make"), []byte(builds), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, dir, []string{"PATH=" + fake + ":" + os.Getenv("PATH")}, "bash", ".github/plugin-archives", version)
	var manifest struct {
		Spec struct {
			Platforms []struct {
				Selector struct {
					MatchLabels struct{ OS, Arch string } `yaml:"matchLabels"`
				}
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(readIn(t, dir, "dist/drainer.yaml")), &manifest); err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, p := range manifest.Spec.Platforms {
		platform := p.Selector.MatchLabels.OS + "/" + p.Selector.MatchLabels.Arch
		platforms = append(platforms, platform)
		archive := []byte(readIn(t, dir, "dist/"+path.Base(p.URI)))
		if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != p.SHA256 {
			t.Errorf("the digest of %s is %x, the manifest says %s", p.URI, sum, p.SHA256)
		}
		files := unpack(t, archive)
		if len(files) != 2 || string(files[p.Bin]) != platform+"\n" || strings.HasSuffix(p.Bin, ".exe") != (p.Selector.MatchLabels.OS == "windows") {
			t.Errorf("the archive for %s has %d files, and as %s %q", platform, len(files), p.Bin, files[p.Bin])
		}
	}
	if want := "linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64"; strings.Join(platforms, " ") != want {
		t.Errorf("the platforms are %v, want %s", platforms, want)
	}
}

func readIn(t *testing.T, dir, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unpack are the files of an archive.
func unpack(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
