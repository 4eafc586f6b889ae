package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const stagesFile = "stages.yaml"

// stages collects kwok's own rules of how nodes and pods come and go.
func stages(ctx context.Context, build, dir string) error {
	path := filepath.Join(dir, stagesFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", "sigs.k8s.io/kwok")
	command.Dir = filepath.Join(build, knownKubernetes()[0].module)
	command.Env = buildEnvironment()
	module, err := downloaded(command)
	if err != nil {
		return err
	}
	root := filepath.Join(module.Dir, "kustomize", "stage")
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
