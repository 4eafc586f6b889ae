// Package dashboards writes the Grafana dashboards of the chart. The types are
// the part of Grafana's dashboard JSON that is used here, and no more; a test
// decodes the result strictly with Grafana's own types.
package dashboards

// Dashboard is one file.
type Dashboard struct {
	UID           string       `json:"uid"`
	Title         string       `json:"title"`
	Description   string       `json:"description"`
	Tags          []string     `json:"tags"`
	SchemaVersion int          `json:"schemaVersion"`
	Editable      bool         `json:"editable"`
	GraphTooltip  int          `json:"graphTooltip"`
	Timezone      string       `json:"timezone"`
	Refresh       string       `json:"refresh"`
	Time          TimeRange    `json:"time"`
	Templating    VariableList `json:"templating"`
	Annotations   Annotations  `json:"annotations"`
	Links         []Link       `json:"links"`
	Panels        []Panel      `json:"panels"`
}

// TimeRange is what the dashboard shows at first.
type TimeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// VariableList holds the variables.
type VariableList struct {
	List []Variable `json:"list"`
}

// Variable is a choice at the head of a dashboard.
type Variable struct {
	Name        string         `json:"name"`
	Type        string         `json:"type"`
	Label       string         `json:"label"`
	Description string         `json:"description"`
	Query       string         `json:"query"`
	Datasource  *Source        `json:"datasource,omitempty"`
	Refresh     int            `json:"refresh"`
	Hide        int            `json:"hide"`
	Multi       bool           `json:"multi"`
	IncludeAll  bool           `json:"includeAll"`
	AllValue    string         `json:"allValue,omitempty"`
	Sort        int            `json:"sort"`
	Current     map[string]any `json:"current"`
}

// Source is a data source.
type Source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Annotations holds the marks over the graphs.
type Annotations struct {
	List []Annotation `json:"list"`
}

// Annotation is one kind of mark.
type Annotation struct {
	Name            string `json:"name"`
	Datasource      Source `json:"datasource"`
	Enable          bool   `json:"enable"`
	IconColor       string `json:"iconColor"`
	Expr            string `json:"expr"`
	TitleFormat     string `json:"titleFormat"`
	TextFormat      string `json:"textFormat"`
	UseValueForTime bool   `json:"useValueForTime,omitempty"`
}

// Link leads to other dashboards, by tag, or to a page.
type Link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Icon        string   `json:"icon"`
	Tooltip     string   `json:"tooltip"`
	URL         string   `json:"url"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	TargetBlank bool     `json:"targetBlank"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
}

// Panel is a panel, or a row that heads some.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	GridPos         GridPos          `json:"gridPos"`
	Collapsed       *bool            `json:"collapsed,omitempty"`
	Panels          *[]Panel         `json:"panels,omitempty"`
	Datasource      *Source          `json:"datasource,omitempty"`
	Interval        string           `json:"interval,omitempty"`
	Targets         []Target         `json:"targets,omitempty"`
	Options         map[string]any   `json:"options,omitempty"`
	FieldConfig     *FieldConfig     `json:"fieldConfig,omitempty"`
	Transformations []Transformation `json:"transformations,omitempty"`
	Links           []Link           `json:"links,omitempty"`
}

// GridPos is where a panel is on a grid 24 wide.
type GridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// Target is a query.
type Target struct {
	RefID        string `json:"refId"`
	Datasource   Source `json:"datasource"`
	EditorMode   string `json:"editorMode"`
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat,omitempty"`
	Format       string `json:"format"`
	Instant      bool   `json:"instant"`
	Range        bool   `json:"range"`
}

// FieldConfig says how values are shown.
type FieldConfig struct {
	Defaults  Field      `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Field is how one value is shown.
type Field struct {
	Unit       string           `json:"unit,omitempty"`
	Decimals   *int             `json:"decimals,omitempty"`
	Min        *float64         `json:"min,omitempty"`
	Max        *float64         `json:"max,omitempty"`
	Color      map[string]any   `json:"color,omitempty"`
	Thresholds *Thresholds      `json:"thresholds,omitempty"`
	Mappings   []map[string]any `json:"mappings,omitempty"`
	Custom     map[string]any   `json:"custom,omitempty"`
}

// Thresholds colour values.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// Step is the colour from a value on; the first has none.
type Step struct {
	Value *float64 `json:"value"`
	Color string   `json:"color"`
}

// Override is for some of the values.
type Override struct {
	Matcher    Matcher    `json:"matcher"`
	Properties []Property `json:"properties"`
}

// Matcher says which.
type Matcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

// Property is what is shown otherwise.
type Property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// Transformation works on the answers of all queries of a panel.
type Transformation struct {
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
}
