package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// binary is one program and how it is built.
type binary struct {
	name string
	// module is the folder under build whose go.mod pins it.
	module string
	pkg    string
	// ldflags are passed to the linker besides -s -w.
	ldflags string
	// tags are build tags.
	tags string
}

// String goes into the key of the cache. It says no more of a program without
// tags than before there were any, so that what is cached stays.
func (b binary) String() string {
	text := fmt.Sprintf("{%s %s %s %s}", b.name, b.module, b.pkg, b.ldflags)
	if b.tags != "" {
		text += " " + b.tags
	}
	return text
}

func (r kubernetesRelease) binary(name string) binary {
	_, minor, _ := strings.Cut(r.minor(), ".")
	const version = "-X k8s.io/component-base/version."
	return binary{
		name: name, module: r.module, pkg: "k8s.io/kubernetes/cmd/" + name,
		ldflags: version + "gitVersion=" + r.version + " " + version + "gitMajor=1 " + version + "gitMinor=" + minor,
	}
}

func binaries(r kubernetesRelease) []binary {
	return []binary{
		{name: "etcd", module: "etcd", pkg: "go.etcd.io/etcd/server/v3"},
		{name: "kwok", module: "kwok", pkg: "sigs.k8s.io/kwok/cmd/kwok"},
		r.binary("kube-apiserver"),
		r.binary("kube-controller-manager"),
		r.binary("kube-scheduler"),
		r.binary("kubectl"),
	}
}

// Binaries returns the folder with the cluster's programs and builds those
// that are missing, which takes minutes the first time. The folder is in the
// user's cache and named after what goes in; two processes that ask at once
// build once. Progress is written for a person.
func Binaries(ctx context.Context, progress io.Writer) (string, error) {
	release, err := chosenKubernetes()
	if err != nil {
		return "", err
	}
	return buildAll(ctx, release.version, binaries(release), progress, func(ctx context.Context, build, dir string) error {
		return stages(ctx, build, filepath.Join(dir, stagesFile))
	})
}

// buildAll builds what is missing of a set of programs, finishes their folder
// and returns it. The name is for people who look into the cache.
func buildAll(
	ctx context.Context, name string, all []binary, progress io.Writer,
	finish func(ctx context.Context, build, dir string) error,
) (string, error) {
	build, err := buildFolder(ctx)
	if err != nil {
		return "", err
	}
	key, err := cacheKey(build, name, all)
	if err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bin", key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder for programs: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, ".lock"), progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	for i, b := range all {
		if _, err := os.Stat(filepath.Join(dir, b.name)); err == nil {
			continue
		}
		if err := b.buildInto(ctx, build, dir, fmt.Sprintf("%s (%d of %d)", b.name, i+1, len(all)), progress); err != nil {
			return "", err
		}
	}
	return dir, finish(ctx, build, dir)
}

// cacheFolder is where everything that outlives a checkout is kept.
func cacheFolder() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(dir, "drainer"), nil
}

// Checkout is the folder of drainer's module, from within it or from within a
// module that replaces it.
func Checkout(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "drainer.dev/drainer").Output()
	if err != nil {
		return "", fmt.Errorf("finding drainer's module (go list -m, from within the checkout): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// buildFolder finds the go.mod files that pin the programs.
func buildFolder(ctx context.Context) (string, error) {
	checkout, err := Checkout(ctx)
	return filepath.Join(checkout, "test", "cluster", "build"), err
}

// cacheKey names a set of programs and, by a digest, all that goes into the
// build.
func cacheKey(build, name string, all []binary) (string, error) {
	digest := sha256.New()
	for _, b := range all {
		fmt.Fprintln(digest, b, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		for _, file := range []string{"go.mod", "go.sum"} {
			text, err := os.ReadFile(filepath.Join(build, b.module, file))
			if err != nil {
				return "", fmt.Errorf("reading what pins %s: %w", b.name, err)
			}
			digest.Write(text)
		}
	}
	return name + "-" + hex.EncodeToString(digest.Sum(nil))[:12], nil
}

// lock waits until no other process holds the file's lock.
func lock(path string, progress io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening a lock: %w", err)
	}
	if errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		fmt.Fprintln(progress, "waiting for another process that builds the same programs")
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

func (b binary) buildInto(ctx context.Context, build, dir, what string, progress io.Writer) error {
	fmt.Fprintf(progress, "building %s\n", what)
	begun := time.Now()
	part := filepath.Join(dir, b.name+".part")
	command := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(build, b.module), "-trimpath",
		"-ldflags", strings.TrimSpace("-s -w "+b.ldflags), "-tags", b.tags, "-o", part, b.pkg)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	stop := tell(progress, what, begun)
	err := command.Run()
	stop()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", b.name, err, output.Bytes())
	}
	fmt.Fprintf(progress, "built %s in %s\n", what, time.Since(begun).Round(time.Second))
	return os.Rename(part, filepath.Join(dir, b.name))
}

// tell says now and then that something still goes on.
func tell(progress io.Writer, what string, begun time.Time) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(15 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintf(progress, "  still building %s after %s\n", what, time.Since(begun).Round(time.Second))
			}
		}
	}()
	return func() { close(done); <-ended }
}

const stagesFile = "stages.yaml"

// stages collects kwok's own rules of how nodes and pods come and go.
func stages(ctx context.Context, build, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	command.Dir = filepath.Join(build, "kwok")
	command.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("finding kwok's module: %w", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "kustomize", "stage")
	var all bytes.Buffer
	for _, set := range []string{"node/fast", "node/heartbeat-with-lease", "pod/general"} {
		files, err := fs.Glob(os.DirFS(root), set+"/*.yaml")
		if err != nil || len(files) == 0 {
			return fmt.Errorf("kwok %s has no stages %s: %w", KwokVersion, set, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "kustomization.yaml") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				return fmt.Errorf("reading a stage of kwok: %w", err)
			}
			all.WriteString("---\n")
			all.Write(bytes.TrimSpace(text))
			all.WriteString("\n")
		}
	}
	return writeFile(path, all.Bytes())
}

// writeFile writes a file whole or not at all.
func writeFile(path string, text []byte) error {
	if err := os.WriteFile(path+".part", text, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return os.Rename(path+".part", path)
}
