package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// All are the dashboards, by the name of their files.
func All() map[string]Dashboard {
	return map[string]Dashboard{"drains": drains(), "evictions": evictions(), "health": health()}
}

// JSON is the file of a dashboard.
func JSON(d Dashboard) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("writing dashboard %s: %w", d.UID, err)
	}
	return text.Bytes(), nil
}

// Runbooks is where the runbooks are read.
const Runbooks = "https://github.com/drainer-dev/drainer/blob/main/docs/runbooks/"

// tag is on every dashboard; the links between them go by it.
const tag = "drainer"

func prometheus() Source { return Source{Type: "prometheus", UID: "${datasource}"} }

// expand writes out what nearly every query says: $target selects drainer's
// own metrics. $ours goes after metrics that other programs export, too: it
// keeps those of processes that are drainer, whatever else the job scrapes.
func expand(expr string) string {
	const target = `cluster=~"$cluster", namespace=~"$namespace", job=~"$job"`
	expr = strings.ReplaceAll(expr, "$ours", "and on (cluster, namespace, job, instance) drainer_build_info{$target}")
	return strings.ReplaceAll(expr, "$target", target)
}

// board is a dashboard with what all of them have. The rows are laid out from
// left to right and from top to bottom.
func board(uid, title, description string, rows ...[]Panel) Dashboard {
	return Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{tag},
		SchemaVersion: 41, Editable: false, GraphTooltip: 1, Timezone: "browser", Refresh: "30s",
		Time: TimeRange{From: "now-1h", To: "now"}, Templating: VariableList{List: variables()},
		Annotations: Annotations{List: marks()},
		Links: []Link{
			{
				Title: "drainer", Type: "dashboards", Icon: "external link", Tooltip: "The other dashboards of drainer",
				Tags: []string{tag}, IncludeVars: true, KeepTime: true,
			},
			{
				Title: "Runbooks", Type: "link", Icon: "doc", Tooltip: "What to do when an alert fires",
				URL: strings.TrimSuffix(Runbooks, "/"), Tags: []string{}, TargetBlank: true,
			},
		},
		Panels: layOut(rows),
	}
}

func variables() []Variable {
	all := map[string]any{"text": "All", "value": "$__all"}
	query := func(name, label, what, query, allValue string, hide int) Variable {
		p := prometheus()
		return Variable{
			Name: name, Type: "query", Label: label, Description: what, Query: query, Datasource: &p,
			Refresh: 2, Hide: hide, Multi: true, IncludeAll: true, AllValue: allValue, Sort: 1, Current: all,
		}
	}
	return []Variable{
		{
			Name: "datasource", Type: "datasource", Label: "Data source", Description: "The Prometheus that scrapes drainer",
			Query: "prometheus", Refresh: 1, Current: map[string]any{"text": "default", "value": "default"},
		},
		query("cluster", "Cluster", "For a data source over several clusters that have the label cluster",
			"label_values(drainer_build_info, cluster)", ".*", 0),
		query("namespace", "Namespace", "Where drainer runs",
			`label_values(drainer_build_info{cluster=~"$cluster"}, namespace)`, ".*", 0),
		query("job", "Job", "The scrape jobs that find drainer",
			`label_values(drainer_build_info{cluster=~"$cluster", namespace=~"$namespace"}, job)`, ".+", 0),
	}
}

// marks are the annotations. Grafana shows those whose value is 1, or takes
// the value for the time, in milliseconds.
func marks() []Annotation {
	return []Annotation{
		{
			Name: "Drain started", Datasource: prometheus(), Enable: true, IconColor: "blue", UseValueForTime: true,
			Expr:        expand(`max by (cluster, node) (drainer_node_drain_start_timestamp_seconds{$target}) * 1000`),
			TitleFormat: "Drain started", TextFormat: "{{cluster}} {{node}}",
		},
		{
			Name: "Drain ended", Datasource: prometheus(), Enable: true, IconColor: "green",
			Expr:        expand(`(sum by (cluster, result) (increase(drainer_drains_total{$target}[$__rate_interval])) > bool 0) == 1`),
			TitleFormat: "Drain ended", TextFormat: "{{cluster}} {{result}}",
		},
	}
}

// row heads panels.
func row(title string, panels ...Panel) []Panel {
	open, none := false, []Panel{}
	head := Panel{Type: "row", Title: title, Collapsed: &open, Panels: &none, GridPos: GridPos{W: 24, H: 1}}
	return append([]Panel{head}, panels...)
}

func layOut(rows [][]Panel) []Panel {
	var all []Panel
	y := 0
	for _, panels := range rows {
		x, tallest := 0, 0
		for _, p := range panels {
			if x+p.GridPos.W > 24 {
				x, y, tallest = 0, y+tallest, 0
			}
			p.ID = len(all) + 1
			p.GridPos.X, p.GridPos.Y = x, y
			x += p.GridPos.W
			tallest = max(tallest, p.GridPos.H)
			all = append(all, p)
		}
		y += tallest
	}
	return all
}
