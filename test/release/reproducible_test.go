package release

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
//
// Both builds use this machine's cache of packages. That shows as much as two
// builds from nothing, in less time: a cached package is found by a digest of
// all that it is compiled from, so that either build would compile the same.
// What is left is a folder that gets into a package and not into that digest.
// Therefore drainer's own packages are compiled again, in the first folder, and
// the second program, which is linked from them elsewhere, must name neither
// folder, nor those of Go and its modules. The platforms differ in nothing of
// this: the one of this machine is built, and the workflow for the image
// compares all.
func TestReproducibleBuild(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "clone")
	copyTo(t, clone, sources(t))
	image := filepath.Join(t.TempDir(), "somewhere", "else", "src")
	context := imageContext(t)
	copyTo(t, image, context)
	packages := slices.DeleteFunc(slices.Clone(context), func(file string) bool { return !strings.HasSuffix(file, ".go") })
	mark := rand.Text()
	markPackages(t, clone, packages, mark)
	markPackages(t, image, packages, mark)
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all"},
		{"-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=all"},
	} {
		run(t, clone, nil, "git", args...)
	}
	one := build(t, clone, runtime.GOARCH)
	two := build(t, image, runtime.GOARCH)
	if sha256.Sum256(one) != sha256.Sum256(two) {
		t.Errorf("two builds of the same source differ (%d and %d bytes)", len(one), len(two))
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	checkProgram(t, two, machines[runtime.GOARCH])
	folders := append(strings.Fields(run(t, clone, nil, "go", "env", "GOROOT", "GOMODCACHE", "GOCACHE")), clone, image)
	for _, dir := range folders {
		if bytes.Contains(two, []byte(dir)) {
			t.Errorf("the program names the folder %s of the machine that it was built on", dir)
		}
	}
}

// markPackages changes each package of the product, in nothing that is
// compiled, so that no cache has it.
func markPackages(t *testing.T, dir string, files []string, mark string) {
	t.Helper()
	for _, file := range files {
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, "\n// "+mark+"\n"...), 0o600); err != nil {
			t.Fatal(err)
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
