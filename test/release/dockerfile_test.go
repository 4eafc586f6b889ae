package release

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry answers for the base images, so that no network is asked: every
// image exists, for every platform.
type registry struct{}

func (registry) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config, err := json.Marshal(dockerspec.DockerOCIImage{Image: ocispecs.Image{
		Platform: *opt.ImageOpt.Platform,
		RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString(ref)}},
	}})
	return ref, "", config, err
}

func options(dockerfile, target string) dockerfile2llb.ConvertOpt {
	builder, platform := platforms.MustParse("linux/s390x"), platforms.MustParse(target)
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte(dockerfile))
	source.Definition = new(llb.Definition)
	return dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildPlatforms: []ocispecs.Platform{builder},
			BuildArgs:      map[string]string{"VERSION": version, "COMMIT": commit},
		},
		TargetPlatform: &platform,
		MetaResolver:   registry{},
		SourceMap:      source,
	}
}

// findings are what BuildKit's own linter says of a Dockerfile.
func findings(t *testing.T, dockerfile string) []string {
	t.Helper()
	results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(dockerfile), options(dockerfile, "linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, w := range results.Warnings {
		found = append(found, fmt.Sprintf("%s: %s %v", w.RuleName, w.Detail, w.Location.Ranges))
	}
	if results.Error != nil {
		found = append(found, "error: "+results.Error.Message)
	}
	return found
}

func TestDockerfileIsClean(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	for _, found := range findings(t, dockerfile) {
		t.Error(found)
	}
	// The same linter, on the same file made worse.
	for rule, worse := range map[string]*strings.Replacer{
		"FromAsCasing":                 strings.NewReplacer(" AS build", " as build"),
		"UndefinedVar":                 strings.NewReplacer(`"$COMMIT"`+"\nCOPY", `"$COMIT"`+"\nCOPY"),
		"JSONArgsRecommended":          strings.NewReplacer(`["/drainer"]`, "/drainer"),
		"LegacyKeyValueFormat":         strings.NewReplacer("USER 65532:65532", "ENV A b\nUSER 65532:65532"),
		"InvalidDefinitionDescription": strings.NewReplacer("# VERSION and", "# What"),
	} {
		found := findings(t, worse.Replace(dockerfile))
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, rule) }) {
			t.Errorf("%s was not found in a Dockerfile that breaks it, only %v", rule, found)
		}
	}
}

// TestImage reads what BuildKit makes of the Dockerfile. Only the build itself,
// which needs a container engine, is left out.
func TestImage(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	for _, arch := range []string{"amd64", "arm64"} {
		result, err := dockerfile2llb.Dockerfile2LLB(t.Context(), []byte(dockerfile), options(dockerfile, "linux/"+arch))
		if err != nil {
			t.Fatal(err)
		}
		image := result.Image
		if image.OS != "linux" || image.Architecture != arch {
			t.Errorf("the image for %s is for %s/%s", arch, image.OS, image.Architecture)
		}
		if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(image.Config.User) {
			t.Errorf("the image runs as %q, want the numbers of a user and a group that are not root's", image.Config.User)
		}
		if !slices.Equal(image.Config.Entrypoint, []string{"/drainer"}) || image.Config.Cmd != nil {
			t.Errorf("the image runs %q %q", image.Config.Entrypoint, image.Config.Cmd)
		}
		if ports := slices.Sorted(maps.Keys(image.Config.ExposedPorts)); !slices.Equal(ports, []string{"8080/tcp", "8081/tcp"}) {
			t.Errorf("the image exposes %v", ports)
		}
		if image.Created != nil {
			t.Errorf("the image says a time, %v", image.Created)
		}
		checkLabels(t, image.Config.Labels)
		checkSteps(t, result.State, arch)
	}
}

func checkLabels(t *testing.T, labels map[string]string) {
	t.Helper()
	const prefix = "org.opencontainers.image."
	for label, want := range map[string]string{
		"title": "drainer", "version": version, "revision": commit, "licenses": "Apache-2.0",
		"source": "https://github.com/drainer-dev/drainer",
	} {
		if labels[prefix+label] != want {
			t.Errorf("label %s is %q, want %q", label, labels[prefix+label], want)
		}
	}
	if labels[prefix+"description"] == "" || labels[prefix+"created"] != "" {
		t.Errorf("wanted a description and no time of creation: %v", labels)
	}
}

// checkSteps: everything runs on the builder's platform, and compiles for the
// image's.
func checkSteps(t *testing.T, state llb.State, arch string) {
	t.Helper()
	definition, err := state.Marshal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compiled := false
	for _, text := range definition.Def {
		var op pb.Op
		if err := op.Unmarshal(text); err != nil {
			t.Fatal(err)
		}
		step := op.GetExec()
		if step == nil {
			continue
		}
		if op.Platform.Architecture != "s390x" {
			t.Errorf("%v is run on %s: emulated", step.Meta.Args, op.Platform.Architecture)
		}
		if strings.Contains(strings.Join(step.Meta.Args, " "), "make build") {
			compiled = true
			for _, want := range []string{"TARGETOS=linux", "TARGETARCH=" + arch, "VERSION=" + version, "COMMIT=" + commit} {
				if !slices.Contains(step.Meta.Env, want) {
					t.Errorf("%v is run without %s: %v", step.Meta.Args, want, step.Meta.Env)
				}
			}
		}
	}
	if !compiled {
		t.Error("the image is made without make build")
	}
}
