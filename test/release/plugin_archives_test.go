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
	"path/filepath"
	"runtime"
	"strings"
	"testing"
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
