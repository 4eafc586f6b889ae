package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// binary is one program and how it is built.
type binary struct {
	name string
	// module is the folder under build whose go.mod pins it.
	module string
	pkg    string
	// ldflags are passed to the linker besides -s -w. They only set variables
	// by -X, which does nothing to a program without that package: programs
	// that are built together get each other's.
	ldflags string
	// tags are build tags.
	tags string
}

func (r kubernetesRelease) binary(name string) binary {
	_, minor, _ := strings.Cut(r.minor(), ".")
	const version = "-X k8s.io/component-base/version."
	return binary{
		name: name, module: r.module, pkg: "k8s.io/kubernetes/cmd/" + name,
		ldflags: version + "gitVersion=" + r.version + " " + version + "gitMajor=1 " + version + "gitMinor=" + minor,
	}
}

// kubectl is the one program that a cluster runs without.
const kubectl = "kubectl"

// binaries are the programs of a cluster. etcd and kwok come from the module of
// the newest Kubernetes for every release: kwok needs a newer client-go than
// an old one has.
func binaries(r kubernetesRelease) []binary {
	newest := knownKubernetes()[0].module
	return []binary{
		{name: "etcd", module: newest, pkg: "go.etcd.io/etcd/server/v3"},
		{name: "kwok", module: newest, pkg: "sigs.k8s.io/kwok/cmd/kwok"},
		r.binary("kube-apiserver"),
		r.binary("kube-controller-manager"),
		r.binary("kube-scheduler"),
		r.binary(kubectl),
	}
}

// programs is a set of programs that share a folder in the cache.
type programs struct {
	// name is for people who look into the cache.
	name string
	// all decide the folder's name; those with a name in without are not built.
	all     []binary
	without []string
	// finish makes what else belongs into the folder.
	finish func(ctx context.Context, build, dir string) error
}

// Binaries returns the folder with the cluster's programs and builds those
// that are missing, which takes minutes the first time. The folder is in the
// user's cache and named after what goes in; two processes that ask at once
// build once. Progress is written for a person. With BinariesVariable set
// nothing is built.
func Binaries(ctx context.Context, progress io.Writer) (string, error) {
	return clusterPrograms(ctx, progress)
}

// BinariesWithoutKubectl is Binaries for a cluster whose user needs no kubectl.
func BinariesWithoutKubectl(ctx context.Context, progress io.Writer) (string, error) {
	return clusterPrograms(ctx, progress, kubectl)
}

func clusterPrograms(ctx context.Context, progress io.Writer, without ...string) (string, error) {
	release, err := chosenKubernetes()
	if err != nil {
		return "", err
	}
	if given := os.Getenv(BinariesVariable); given != "" {
		return prebuilt(ctx, given, release, progress)
	}
	set := programs{name: release.version, all: binaries(release), without: without, finish: stages}
	return set.build(ctx, progress)
}

// build builds what is missing, finishes the folder and returns it.
func (p programs) build(ctx context.Context, progress io.Writer) (string, error) {
	build, err := buildFolder(ctx)
	if err != nil {
		return "", err
	}
	key, err := cacheKey(build, p.name, p.all)
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
	for _, g := range groups(p.missing(dir)) {
		if err := g.build(ctx, build, dir, progress); err != nil {
			return "", err
		}
	}
	return dir, p.finish(ctx, build, dir)
}

// missing are the programs that are wanted and not in the folder.
func (p programs) missing(dir string) []binary {
	var missing []binary
	for _, b := range p.all {
		if _, err := os.Stat(filepath.Join(dir, b.name)); err != nil && !slices.Contains(p.without, b.name) {
			missing = append(missing, b)
		}
	}
	return missing
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

// writeFile writes a file whole or not at all.
func writeFile(path string, text []byte) error {
	if err := os.WriteFile(path+".part", text, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return os.Rename(path+".part", path)
}
