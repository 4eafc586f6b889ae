package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is the folder of the repository.
const checkout = "../.."

// read is the text of a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sources are the files of the repository as a commit of now would have them.
func sources(t *testing.T) []string {
	t.Helper()
	out := run(t, checkout, nil, "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	var files []string
	for _, file := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
		// A file that is deleted and not yet committed so.
		if _, err := os.Lstat(filepath.Join(checkout, file)); err == nil {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		t.Fatal("git knows no file of this checkout")
	}
	return files
}

// copyTo copies files of the repository into a folder.
func copyTo(t *testing.T, dir string, files []string) {
	t.Helper()
	for _, file := range files {
		to := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, file)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a program and returns what it said.
func run(t *testing.T, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
