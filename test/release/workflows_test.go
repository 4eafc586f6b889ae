package release

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// workflows are the files under .github/workflows by their path.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(checkout, ".github", "workflows", "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = string(text)
	}
	if len(files) < 2 {
		t.Fatalf("found only the workflows %v", paths)
	}
	return files
}

// actionlintFindings are what actionlint says of a workflow, with shellcheck on
// its scripts where that is installed.
func actionlintFindings(t *testing.T, path, text string) []string {
	t.Helper()
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Log("shellcheck is not installed: the scripts in the workflows are not checked")
	}
	var out bytes.Buffer
	linter, err := actionlint.NewLinter(&out, &actionlint.LinterOptions{Shellcheck: shellcheck})
	if err != nil {
		t.Fatal(err)
	}
	project, err := actionlint.NewProject(checkout)
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.Lint(path, []byte(text), project)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range found {
		texts = append(texts, f.Error())
	}
	return texts
}

func TestWorkflowsAreClean(t *testing.T) {
	files := workflows(t)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for _, found := range actionlintFindings(t, path, files[path]) {
			t.Error(found)
		}
	}
	// The same linter, on the same file made worse.
	path := filepath.Join(checkout, ".github", "workflows", "release.yml")
	for want, worse := range map[string]*strings.Replacer{
		"is not defined in object type": strings.NewReplacer("steps.push.outputs.digest", "steps.pusher.outputs.digest"),
		"unknown permission scope":      strings.NewReplacer("id-token: write", "id-tokens: write"),
		"does not exist":                strings.NewReplacer("needs: image\n", "needs: picture\n"),
	} {
		found := strings.Join(actionlintFindings(t, path, worse.Replace(files[path])), "\n")
		if !strings.Contains(found, want) {
			t.Errorf("%q was not found in a workflow that deserves it, only %q", want, found)
		}
	}
}

// unsafe are the ways in which a workflow trusts more than it has to.
func unsafe(t *testing.T, text string) []string {
	t.Helper()
	workflow, errs := actionlint.Parse([]byte(text))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var found []string
	say := func(texts ...string) { found = append(found, strings.Join(texts, " ")) }
	if p := workflow.Permissions; p == nil || p.All != nil || len(p.Scopes) > 0 {
		say("the workflow as a whole has permissions; give them to its jobs")
	}
	for _, event := range workflow.On {
		if event.EventName() == "pull_request_target" {
			say("pull_request_target runs strangers' code with our permissions")
		}
	}
	for name, job := range workflow.Jobs {
		if job.Permissions == nil || job.Permissions.All != nil {
			say("job", name, "does not list its permissions")
		}
		if job.WorkflowCall == nil && job.TimeoutMinutes == nil {
			say("job", name, "may run for hours")
		}
		for _, step := range job.Steps {
			found = append(found, unsafeStep(step)...)
		}
	}
	if strings.Count(text, "uses: ") != len(pinned.FindAllString(text, -1))+strings.Count(text, "uses: ./") {
		say("an action is not pinned like this: uses: owner/name@<commit> # v1.2.3")
	}
	return found
}

var pinned = regexp.MustCompile(`(?m)^ +(- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

func unsafeStep(step *actionlint.Step) (found []string) {
	switch exec := step.Exec.(type) {
	case *actionlint.ExecAction:
		if strings.HasPrefix(exec.Uses.Value, "actions/checkout@") {
			if keep := exec.Inputs["persist-credentials"]; keep == nil || keep.Value.Value != "false" {
				found = append(found, "a checkout leaves its credentials to all that runs after it")
			}
		}
	case *actionlint.ExecRun:
		if strings.Contains(exec.Run.Value, "${{") {
			found = append(found, "a script has an expression in it; pass it by the environment: "+exec.Run.Value)
		}
	}
	return found
}

func TestWorkflowsTrustLittle(t *testing.T) {
	files := workflows(t)
	for path, text := range files {
		for _, found := range unsafe(t, text) {
			t.Errorf("%s: %s", path, found)
		}
	}
	ci := files[filepath.Join(checkout, ".github", "workflows", "ci.yml")]
	if len(unsafe(t, ci)) > 0 {
		return
	}
	for name, worse := range map[string]*strings.Replacer{
		"permissions of all":  strings.NewReplacer("permissions: {}", "permissions: write-all"),
		"no permissions":      strings.NewReplacer("permissions: {}", ""),
		"job's permissions":   strings.NewReplacer("    permissions:\n      contents: read\n", ""),
		"no timeout":          strings.NewReplacer("    timeout-minutes: 5\n", ""),
		"credentials":         strings.NewReplacer("persist-credentials: false", "persist-credentials: true"),
		"tag":                 strings.NewReplacer("@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1", "@v6.0.1"),
		"commit of what?":     strings.NewReplacer(" # v6.0.1", ""),
		"expression":          strings.NewReplacer("run: .ci/run", "run: .ci/run ${{ github.head_ref }}"),
		"pull_request_target": strings.NewReplacer("pull_request:", "pull_request_target:"),
	} {
		if len(unsafe(t, worse.Replace(ci))) == 0 {
			t.Errorf("nothing is found against: %s", name)
		}
	}
}

// TestOneGo: the image's compiler is the one that the tests run with, so that
// the workflows' comparison of programs holds.
func TestOneGo(t *testing.T) {
	builder := regexp.MustCompile(`(?m)^FROM .* golang:(\d+\.\d+\.\d+)(@sha256:[0-9a-f]{64})? AS `).FindStringSubmatch(read(t, "Dockerfile"))
	if builder == nil {
		t.Fatal("the Dockerfile names no exact version of Go")
	}
	for path, text := range workflows(t) {
		if !strings.Contains(text, `  GO_VERSION: "`+builder[1]+`"`) {
			t.Errorf("%s: GO_VERSION is not the Dockerfile's %s", path, builder[1])
		}
	}
}

// TestWorkflowsCallWhatExists: the Makefile's commands and the files that the
// workflows run.
func TestWorkflowsCallWhatExists(t *testing.T) {
	makefile := read(t, "Makefile")
	call := regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	file := regexp.MustCompile(`\.(?:ci|github)/[a-z-]+\b`)
	for path, text := range workflows(t) {
		calls := call.FindAllStringSubmatch(text, -1)
		for _, c := range calls {
			if !strings.Contains(makefile, "\n"+c[1]+":") {
				t.Errorf("%s: make %s, which the Makefile does not have", path, c[1])
			}
		}
		for _, f := range file.FindAllString(text, -1) {
			if _, err := os.Stat(filepath.Join(checkout, f)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		if len(calls) == 0 {
			t.Errorf("%s calls nothing of the Makefile", path)
		}
	}
}

// TestTagComesLast: the image has no tag until it is compared, scanned, signed
// and attested, and a release is not built from images that could be others
// tomorrow.
func TestTagComesLast(t *testing.T) {
	workflow, errs := actionlint.Parse([]byte(read(t, ".github/workflows/release.yml")))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var steps []string
	for _, step := range workflow.Jobs["image"].Steps {
		switch exec := step.Exec.(type) {
		case *actionlint.ExecRun:
			steps = append(steps, exec.Run.Value)
		case *actionlint.ExecAction:
			steps = append(steps, exec.Uses.Value)
		}
	}
	last := -1
	for _, part := range []string{
		"pin-images --check", "push-by-digest=true", "cmp bin/drainer", "grype ", "cosign sign", "attest-build-provenance", "imagetools create --tag",
	} {
		at := slices.IndexFunc(steps, func(s string) bool { return strings.Contains(s, part) })
		if at <= last {
			t.Errorf("%q is step %d, want it after step %d", part, at, last)
		}
		last = at
	}
	if last != len(steps)-1 {
		t.Errorf("the tag is step %d of %d", last+1, len(steps))
	}
	for i, step := range steps[:len(steps)-1] {
		if strings.Contains(step, ":$VERSION") {
			t.Errorf("step %d names the tag: %s", i+1, step)
		}
	}
}

// TestWorkflowsScan: every commit, every week and so every release is looked
// through for known vulnerabilities, code and image.
func TestWorkflowsScan(t *testing.T) {
	workflow, errs := actionlint.Parse([]byte(read(t, ".github/workflows/ci.yml")))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var events []string
	for _, e := range workflow.On {
		events = append(events, e.EventName())
	}
	for _, event := range []string{"push", "pull_request", "schedule", "workflow_call"} {
		if !slices.Contains(events, event) {
			t.Errorf("ci.yml does not run on %s, only on %v", event, events)
		}
	}
	runs := map[string]string{}
	for name, job := range workflow.Jobs {
		if job.If != nil {
			t.Errorf("job %s runs only sometimes: %s", name, job.If.Value)
		}
		for _, step := range job.Steps {
			if run, is := step.Exec.(*actionlint.ExecRun); is && step.ContinueOnError == nil && step.If == nil {
				runs[name] += run.Run.Value + "\n"
			}
		}
	}
	for job, call := range map[string]string{"vulnerabilities": "make vulnerabilities", "image": "grype docker-archive:"} {
		if !strings.Contains(runs[job], call) {
			t.Errorf("job %s does not run %q in every case:\n%s", job, call, runs[job])
		}
	}
	if makefile := read(t, "Makefile"); !strings.Contains(makefile, "\tbin/govulncheck ./cmd/...\n") {
		t.Error("make vulnerabilities does not run govulncheck")
	}
	if !strings.Contains(read(t, ".github/workflows/release.yml"), "  test:\n    permissions:\n      contents: read\n    uses: ./.github/workflows/ci.yml\n") {
		t.Error("a release is not preceded by ci.yml")
	}
}
