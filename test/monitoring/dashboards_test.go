package monitoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	grafana "github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"drainer.dev/drainer/test/monitoring/dashboards"
)

// Where things are, seen from here.
const (
	dashboardFolder = "../../charts/drainer/dashboards"
	rulesFile       = "../../charts/drainer/rules/drainer.yaml"
	runbookFolder   = "../../docs/runbooks"
	referenceFolder = "../../docs/reference"
)

// TestDashboardsAreGenerated: the committed files are what the generator
// writes, and there are no others.
func TestDashboardsAreGenerated(t *testing.T) {
	files, err := filepath.Glob(dashboardFolder + "/*")
	if err != nil || len(files) != len(dashboards.All()) {
		t.Errorf("%d files (%v), want %d", len(files), err, len(dashboards.All()))
	}
	for name, d := range dashboards.All() {
		want, err := dashboards.JSON(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dashboardFolder, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s.json is not what the generator writes: run make dashboards", name)
		}
	}
}

// TestDashboardsDecode: Grafana's own types know every field of the files.
func TestDashboardsDecode(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for name, d := range dashboards.All() {
		// Grafana's schema of annotations leaves out how Prometheus' own are
		// formatted; its data source reads these fields anyway.
		text, err := dashboards.JSON(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"titleFormat", "textFormat", "useValueForTime"} {
			text = withoutField(t, text, field)
		}
		var decoded grafana.Dashboard
		if err := decoded.UnmarshalJSONStrict(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := decoded.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func withoutField(t *testing.T, text []byte, field string) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	annotations, _ := all["annotations"].(map[string]any)
	list, _ := annotations["list"].([]any)
	for _, a := range list {
		if fields, ok := a.(map[string]any); ok {
			delete(fields, field)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDashboardHeads: what a person chooses from, and how the dashboards are
// found. Uids do not change: people link to them.
func TestDashboardHeads(t *testing.T) {
	uids := map[string]string{"drains": "drainer-drains", "evictions": "drainer-evictions", "health": "drainer-health"}
	for name, d := range dashboards.All() {
		if d.UID != uids[name] || d.Editable || !slices.Contains(d.Tags, "drainer") || d.Description == "" || d.Refresh == "" {
			t.Errorf("%s: uid %q, editable %v, tags %v, description %q, refresh %q", name, d.UID, d.Editable, d.Tags, d.Description, d.Refresh)
		}
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
			checkVariable(t, name, v)
		}
		if want := []string{"datasource", "cluster", "namespace", "job"}; !slices.Equal(names, want) {
			t.Errorf("%s has the variables %v, want %v", name, names, want)
		}
		if !slices.ContainsFunc(d.Links, func(l dashboards.Link) bool {
			return l.Type == "dashboards" && l.IncludeVars && l.KeepTime && slices.Contains(l.Tags, "drainer")
		}) {
			t.Errorf("%s does not link to the other dashboards", name)
		}
		if len(d.Annotations.List) != 2 {
			t.Errorf("%s has %d annotations, want the start and the end of drains", name, len(d.Annotations.List))
		}
	}
}

func checkVariable(t *testing.T, dashboard string, v dashboards.Variable) {
	t.Helper()
	labels := map[string]string{"datasource": "Data source", "job": "Job"}
	if want := labels[v.Name]; v.Label == "" || v.Description == "" || want != "" && v.Label != want {
		t.Errorf("%s: variable %s has the label %q and the description %q", dashboard, v.Name, v.Label, v.Description)
	}
	if v.Type != "query" {
		return
	}
	if v.Refresh != 2 || !v.Multi || !v.IncludeAll || v.Datasource == nil || v.Datasource.UID != "${datasource}" || v.Sort == 0 {
		t.Errorf("%s: variable %s is not a sorted multiple choice from ${datasource}, refreshed with the time: %+v", dashboard, v.Name, v)
	}
	// A target without a label must be shown, too; every target has a job.
	if want := map[bool]string{true: ".+", false: ".*"}[v.Name == "job"]; v.AllValue != want {
		t.Errorf("%s: All of %s is %q, want %q", dashboard, v.Name, v.AllValue, want)
	}
	inner, found := strings.CutPrefix(v.Query, "label_values(")
	selector, label, comma := cutLast(strings.TrimSuffix(inner, ")"), ", ")
	if !found || !comma || label != v.Name {
		t.Errorf("%s: variable %s asks %s, want label_values(…, %s)", dashboard, v.Name, v.Query, v.Name)
	}
	checkExported(t, selector)
}

func cutLast(text, at string) (before, after string, found bool) {
	i := strings.LastIndex(text, at)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(at):], true
}

// TestPanels: the rules of Grafana's dashboard linter about panels, and more.
func TestPanels(t *testing.T) {
	for name, d := range dashboards.All() {
		titles := map[string]bool{}
		for i, p := range d.Panels {
			where := name + ": " + p.Title
			if titles[p.Title] || p.Title == "" || p.ID != i+1 {
				t.Errorf("%s: the title or the ID %d is not its own", where, p.ID)
			}
			titles[p.Title] = true
			checkPlace(t, where, d.Panels[:i], p)
			if p.Type == "row" {
				continue
			}
			checkPanel(t, where, p)
		}
	}
}

func checkPlace(t *testing.T, where string, before []dashboards.Panel, p dashboards.Panel) {
	t.Helper()
	a := p.GridPos
	if a.W < 1 || a.H < 1 || a.X < 0 || a.X+a.W > 24 {
		t.Errorf("%s is outside of the grid: %+v", where, a)
	}
	for _, other := range before {
		b := other.GridPos
		if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
			t.Errorf("%s lies over %s", where, other.Title)
		}
	}
}

// units are those of Grafana's that are used.
var units = []string{"short", "none", "s", "percentunit", "reqps", "ops", "bytes"}

func checkPanel(t *testing.T, where string, p dashboards.Panel) {
	t.Helper()
	if !strings.HasSuffix(p.Description, ".") {
		t.Errorf("%s has the description %q, want a sentence", where, p.Description)
	}
	if !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
		t.Errorf("%s has the unit %q, want one of %v", where, p.FieldConfig.Defaults.Unit, units)
	}
	if p.Datasource == nil || p.Datasource.UID != "${datasource}" || p.Interval == "" || len(p.Targets) == 0 {
		t.Errorf("%s lacks its data source, interval or queries", where)
	}
	if slices.Contains([]string{"graph", "singlestat", "table-old"}, p.Type) {
		t.Errorf("%s is of the type %s, which Grafana has given up", where, p.Type)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] || target.RefID == "" || target.Datasource.UID != "${datasource}" || target.Instant == target.Range {
			t.Errorf("%s has a query without a name, source or kind of its own: %+v", where, target)
		}
		refs[target.RefID] = true
		if target.LegendFormat == "" && p.Type != "table" {
			t.Errorf("%s has a query without a legend: %s", where, target.Expr)
		}
	}
	for _, l := range p.Links {
		alert := strings.TrimSuffix(strings.TrimPrefix(l.URL, dashboards.Runbooks), ".md")
		if _, err := os.Stat(filepath.Join(runbookFolder, alert+".md")); errors.Is(err, fs.ErrNotExist) || alert != l.Title {
			t.Errorf("%s links to %s, which is not there", where, l.URL)
		}
	}
}
