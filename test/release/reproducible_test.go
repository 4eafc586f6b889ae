package release

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	version = "v9.8.7-rc.6"
	commit  = "0123456789abcdef0123456789abcdef01234567"
)

// build is what `make build` makes for the architecture, from a folder.
func build(t *testing.T, dir, arch string) []byte {
	t.Helper()
	// Go's own default, whatever this machine is set to: only what the Makefile
	// says counts.
	environment := []string{"GOFLAGS=-buildvcs=auto", "GOOS=linux", "GOARCH=" + arch}
	run(t, dir, environment, "make", "build", "VERSION="+version, "COMMIT="+commit)
	program, err := os.ReadFile(filepath.Join(dir, "bin", "drainer"))
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// TestReproducibleBuild: a clone with its history, and in another folder only
// what the builder of the image gets, become the same program, byte for byte.
func TestReproducibleBuild(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "clone")
	copyTo(t, clone, sources(t))
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all"},
		{"-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=all"},
	} {
		run(t, clone, nil, "git", args...)
	}
	image := filepath.Join(t.TempDir(), "somewhere", "else", "src")
	copyTo(t, image, imageContext(t))
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		one := build(t, clone, arch)
		two := build(t, image, arch)
		if sha256.Sum256(one) != sha256.Sum256(two) {
			t.Errorf("%s: two builds of the same source differ (%d and %d bytes)", arch, len(one), len(two))
		}
		checkProgram(t, one, machine)
		for _, dir := range []string{clone, image} {
			if bytes.Contains(one, []byte(dir)) {
				t.Errorf("%s: the program names the folder it was built in, %s", arch, dir)
			}
		}
	}
}

// checkProgram: the program is for the machine, needs no library, and says the
// version that it was given, and no time.
func checkProgram(t *testing.T, program []byte, machine elf.Machine) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if file.Machine != machine {
		t.Errorf("built for %v, want %v", file.Machine, machine)
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 || file.Section(".interp") != nil {
		t.Errorf("%v: the program is not static: %v, %v", machine, libraries, err)
	}
	for _, text := range []string{version, commit} {
		if !bytes.Contains(program, []byte(text)) {
			t.Errorf("%v: the program does not know %s", machine, text)
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") {
			t.Errorf("%v: %s=%s is stamped into the program", machine, s.Key, s.Value)
		}
	}
}
