package dashboards

import "fmt"

// query is one query of a panel: over time, or only now.
func query(expr, legend string) Target {
	return Target{Datasource: prometheus(), EditorMode: "code", Expr: expand(expr), LegendFormat: legend, Format: "time_series", Range: true}
}

func now(expr, legend string) Target {
	t := query(expr, legend)
	t.Instant, t.Range = true, false
	return t
}

// column is a query that becomes a column of a table.
func column(refID, expr string) Target {
	t := now(expr, "")
	t.RefID, t.Format = refID, "table"
	return t
}

// panel is what all kinds have in common.
func panel(kind, title, description, unit string, targets []Target) Panel {
	source := prometheus()
	for i := range targets {
		if targets[i].RefID == "" {
			targets[i].RefID = string(rune('A' + i))
		}
	}
	return Panel{
		Type: kind, Title: title, Description: description, Datasource: &source, Interval: "30s", Targets: targets,
		FieldConfig: &FieldConfig{Defaults: Field{Unit: unit}, Overrides: []Override{}},
	}
}

// size sets width and height.
func (p Panel) size(w, h int) Panel {
	p.GridPos = GridPos{W: w, H: h}
	return p
}

// idle is the value of a query that has no answer although drainer is seen: no
// data at all has to look like no data.
const idle = "-1"

// idle is what is shown for a query that is idle.
func (p Panel) idle(text string) Panel {
	p.FieldConfig.Defaults.Mappings = []map[string]any{
		{"type": "value", "options": map[string]any{idle: map[string]any{"text": text, "color": "text"}}},
	}
	return p
}

// runbooks links to what to do.
func (p Panel) runbooks(alerts ...string) Panel {
	for _, a := range alerts {
		p.Links = append(p.Links, Link{
			Title: a, Type: "link", Icon: "doc", Tooltip: "What to do when " + a + " fires",
			URL: Runbooks + a + ".md", Tags: []string{}, TargetBlank: true,
		})
	}
	return p
}

// override changes how the values of the name are shown.
func (p Panel) override(name string, properties ...Property) Panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{Matcher{"byName", name}, properties})
	return p
}

// overrideLike changes those whose name matches.
func (p Panel) overrideLike(pattern string, properties ...Property) Panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{Matcher{"byRegexp", pattern}, properties})
	return p
}

func colour(name string) Property {
	return Property{"color", map[string]any{"mode": "fixed", "fixedColor": name}}
}

// states gives the states of pods, and phases the phases of nodes, the same
// colours everywhere.
func (p Panel) states() Panel {
	return p.override("gone", colour("green")).override("terminating", colour("blue")).
		override("eligible", colour("yellow")).override("blocked", colour("red"))
}

func (p Panel) phases() Panel {
	return p.override("Queued", colour("yellow")).override("Draining", colour("blue")).override("Blocked", colour("red")).
		override("Paused", colour("purple")).override("TimedOut", colour("dark-red")).override("Drained", colour("green")).
		override("InvalidRequest", colour("orange")).override("DryRun", colour("light-blue")).
		override("Held", colour("light-green"))
}

// steps colours a value: base, and then pairs of a value and a colour.
func (p Panel) steps(base string, pairs ...any) Panel {
	t := &Thresholds{Mode: "absolute", Steps: []Step{{Color: base}}}
	for i := 0; i < len(pairs); i += 2 {
		value, _ := pairs[i].(float64)
		text, _ := pairs[i+1].(string)
		t.Steps = append(t.Steps, Step{&value, text})
	}
	p.FieldConfig.Defaults.Thresholds = t
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "thresholds"}
	return p
}

// stat is one number or a few.
func stat(title, description, unit string, targets ...Target) Panel {
	p := panel("stat", title, description, unit, targets)
	p.Options = map[string]any{
		"graphMode": "none", "colorMode": "value", "justifyMode": "auto", "textMode": "auto", "wideLayout": true,
		"showPercentChange": false, "percentChangeColorMode": "standard", "orientation": "auto",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p.size(4, 4).steps("text")
}

// graph is lines over time.
func graph(title, description, unit string, targets ...Target) Panel {
	p := panel("timeseries", title, description, unit, targets)
	zero := 0.
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "palette-classic"}
	p.FieldConfig.Defaults.Custom = map[string]any{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
		"stacking": map[string]any{"mode": "none", "group": "A"},
	}
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	return p.size(12, 8)
}

// stacked adds the lines up.
func (p Panel) stacked() Panel {
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 60
	p.FieldConfig.Defaults.Custom["stacking"] = map[string]any{"mode": "normal", "group": "A"}
	return p
}

// counts is for what is counted in each interval, none of it twice: the
// interval is long enough for a scrape a minute.
func (p Panel) counts() Panel {
	p.Interval = "2m"
	return p
}

// bars shows how many in each interval.
func (p Panel) bars() Panel {
	p = p.stacked().counts()
	p.FieldConfig.Defaults.Custom["drawStyle"] = "bars"
	return p
}

// heat is how a histogram's buckets fill over time.
func heat(title, description, unit, expr string) Panel {
	t := query(expr, "{{le}}")
	t.Format = "heatmap"
	p := panel("heatmap", title, description, unit, []Target{t})
	p.FieldConfig.Defaults.Custom = map[string]any{"scaleDistribution": map[string]any{"type": "linear"}}
	p.Options = map[string]any{
		"calculate": false, "cellGap": 1,
		"color": map[string]any{
			"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5, "steps": 64, "reverse": false,
		},
		"cellValues":   map[string]any{"unit": "short", "decimals": 0},
		"yAxis":        map[string]any{"unit": unit, "axisPlacement": "left"},
		"rowsFrame":    map[string]any{"layout": "auto"},
		"showValue":    "never",
		"legend":       map[string]any{"show": true},
		"tooltip":      map[string]any{"mode": "single", "yHistogram": false, "showColorScale": true},
		"exemplars":    map[string]any{"color": "rgba(255,0,255,0.7)"},
		"filterValues": map[string]any{"le": 1e-9},
	}
	return p.size(12, 8).counts()
}

// timeline is a state over time, one line each.
func timeline(title, description string, texts map[string]string, colours map[string]string, targets ...Target) Panel {
	p := panel("state-timeline", title, description, "none", targets)
	options := map[string]any{}
	for value, text := range texts {
		options[value] = map[string]any{"text": text, "color": colours[value]}
	}
	p.FieldConfig.Defaults.Mappings = []map[string]any{{"type": "value", "options": options}}
	p.FieldConfig.Defaults.Custom = map[string]any{"fillOpacity": 80, "lineWidth": 0}
	p.Options = map[string]any{
		"showValue": "auto", "rowHeight": 0.8, "mergeValues": true, "alignValue": "left",
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "single", "sort": "none"},
	}
	return p.size(12, 6)
}

// named is a column of a table: the field it comes from, and its title; without
// one it is not shown.
type named struct{ field, title string }

// table joins queries of the present by their labels. Only the columns that are
// named are shown, in their order; the first sorts, from the largest value.
func table(title, description, unit, sortBy string, columns []named, targets ...Target) Panel {
	p := panel("table", title, description, unit, targets)
	order, names, hidden := map[string]any{}, map[string]any{}, map[string]any{"Time": true}
	for i, c := range columns {
		if c.title == "" {
			hidden[c.field] = true
			continue
		}
		order[c.field], names[c.field] = i, c.title
	}
	p.Transformations = []Transformation{
		{"merge", map[string]any{}},
		{"organize", map[string]any{"excludeByName": hidden, "indexByName": order, "renameByName": names}},
	}
	p.FieldConfig.Defaults.Custom = map[string]any{"align": "auto", "filterable": false}
	p.Options = map[string]any{
		"frameIndex": 0, "showHeader": true, "cellHeight": "sm",
		"sortBy": []map[string]any{{"displayName": sortBy, "desc": true}},
		"footer": map[string]any{"show": false, "reducer": []string{"sum"}, "countRows": false},
	}
	return p.size(24, 9)
}

func unit(id string) Property { return Property{"unit", id} }

// quantiles are the usual three of a histogram, over the rate's interval.
func quantiles(bucket string) []Target {
	var targets []Target
	for _, q := range []string{"0.5", "0.95", "0.99"} {
		targets = append(targets, query(fmt.Sprintf(`histogram_quantile(%s, sum by (le) (rate(%s[$__rate_interval])))`, q, bucket), "p"+percent(q)))
	}
	return targets
}

func percent(q string) string { return map[string]string{"0.5": "50", "0.95": "95", "0.99": "99"}[q] }
