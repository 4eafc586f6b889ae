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
	"regexp"
	"strings"
)

// BinariesVariable is the environment variable that names a folder with the
// cluster's programs. They are used as they are, and none is built.
const BinariesVariable = "DRAINER_KUBERNETES_BIN"

// programVersion is what a program says of itself.
type programVersion struct {
	arguments []string
	says      *regexp.Regexp
	// minor is what the version must be, but for the patch.
	minor string
}

// versions are what the programs of a release must say. The stages that kwok
// is given are those of its own version.
func (r kubernetesRelease) versions() map[string]programVersion {
	kubernetes := programVersion{[]string{"--version"}, regexp.MustCompile(`Kubernetes (v\S+)`), "v" + r.minor()}
	return map[string]programVersion{
		"etcd":                    {[]string{"--version"}, regexp.MustCompile(`etcd Version: (\S+)`), "3"},
		"kwok":                    {[]string{"--version"}, regexp.MustCompile(`version (v\S+)`), minorOf(KwokVersion)},
		"kube-apiserver":          kubernetes,
		"kube-controller-manager": kubernetes,
		"kube-scheduler":          kubernetes,
		kubectl:                   {[]string{"version", "--client"}, regexp.MustCompile(`Client Version: (v\S+)`), kubernetes.minor},
	}
}

// minorOf is a version without its patch, like v0.8 of v0.8.0.
func minorOf(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// is reports whether a version is of the minor.
func (v programVersion) is(version string) bool {
	return version == v.minor || strings.HasPrefix(version, v.minor+".")
}

// prebuilt returns a folder with the programs of the folder that the user
// names, and kwok's stages. All of the programs must be there and of the
// release.
func prebuilt(ctx context.Context, given string, r kubernetesRelease, progress io.Writer) (string, error) {
	from, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("finding %s=%s: %w", BinariesVariable, given, err)
	}
	if err := r.check(ctx, from); err != nil {
		return "", fmt.Errorf("%s=%s does not have the programs of Kubernetes %s:\n%w\n"+
			"Put them there, choose the Kubernetes that is there with %s, or unset %s to build them",
			BinariesVariable, given, r.minor(), err, KubernetesVariable, BinariesVariable)
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(from + " " + KwokVersion))
	dir := filepath.Join(cache, "bin", "prebuilt-"+hex.EncodeToString(digest[:])[:12])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder for programs: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, ".lock"), progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := link(from, dir, r); err != nil {
		return "", err
	}
	build, err := buildFolder(ctx)
	if err != nil {
		return "", err
	}
	return dir, stages(ctx, build, dir)
}

// check finds all that is wrong with a folder of programs.
func (r kubernetesRelease) check(ctx context.Context, dir string) error {
	var wrong []error
	versions := r.versions()
	for _, b := range binaries(r) {
		if err := versions[b.name].check(ctx, filepath.Join(dir, b.name)); err != nil {
			wrong = append(wrong, fmt.Errorf("  %s: %w", b.name, err))
		}
	}
	return errors.Join(wrong...)
}

func (v programVersion) check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return errors.New("is missing")
	}
	command := exec.CommandContext(ctx, path, v.arguments...)
	// Nothing of the user's, such as a kubeconfig, is of interest.
	command.Env = []string{"HOME=" + os.TempDir()}
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot be run: %w %s", err, lastLine(out))
	}
	said := v.says.FindSubmatch(out)
	if said == nil {
		return fmt.Errorf("does not say its version: %s", lastLine(out))
	}
	if version := string(said[1]); !v.is(version) {
		return fmt.Errorf("is %s, expected %s", version, v.minor)
	}
	return nil
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// link makes the programs of one folder those of another, to which files can
// be added.
func link(from, to string, r kubernetesRelease) error {
	for _, b := range binaries(r) {
		target, path := filepath.Join(from, b.name), filepath.Join(to, b.name)
		if there, err := os.Readlink(path); err == nil && there == target {
			continue
		}
		if err := os.Symlink(target, path); err != nil {
			return fmt.Errorf("linking to %s: %w", target, err)
		}
	}
	return nil
}
