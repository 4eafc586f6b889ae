package dashboards

import "strings"

// Query is one expression of a dashboard and where it is.
type Query struct {
	// Panel is the panel's title, or the annotation's name.
	Panel  string
	Kind   string
	Target Target
	// Interval is the shortest one that Grafana may choose.
	Interval string
}

// Queries are all expressions of the dashboard: of its panels and of its
// annotations.
func (d Dashboard) Queries() []Query {
	var all []Query
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			all = append(all, Query{Panel: p.Title, Kind: p.Type, Target: t, Interval: p.Interval})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, Query{
			Panel: a.Name, Kind: "annotation",
			Target: Target{RefID: "annotation", Expr: a.Expr, LegendFormat: a.TextFormat, Range: true},
		})
	}
	return all
}

// Choices are what a person has chosen at the head of a dashboard, and what
// Grafana makes of the time shown.
type Choices struct {
	Job          string
	RateInterval string
	Interval     string
	Range        string
}

// Fill puts the choices into an expression, like Grafana. Everything else is
// All.
func (c Choices) Fill(expr string) string {
	return strings.NewReplacer(
		"$cluster", ".*", "$namespace", ".*", "$job", c.Job, "$__rate_interval", c.RateInterval, "$__interval", c.Interval, "$__range", c.Range,
	).Replace(expr)
}
