package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/program"
)

// Job is one scrape job: targets, and the labels that a ServiceMonitor would
// put on them.
type Job struct {
	Name        string
	HonorLabels bool
	// Targets are addresses by the name of their pod.
	Targets map[string]string
}

// Prometheus is a running server.
type Prometheus struct {
	*program.Program
	URL string
}

// StartPrometheus runs Prometheus in a folder of its own. It scrapes and
// evaluates the rules once in an interval.
func StartPrometheus(ctx context.Context, dir string, interval time.Duration, rules string, jobs []Job) (*Prometheus, error) {
	programs, err := cluster.Prometheus(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making Prometheus' folder: %w", err)
	}
	for name, text := range map[string]string{"prometheus.yaml": configuration(interval, jobs), "rules.yaml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("configuring Prometheus: %w", err)
		}
	}
	command := exec.Command(filepath.Join(programs, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	command.SysProcAttr = cluster.ChildAttributes()
	p := &Prometheus{}
	p.Program, err = program.Start(ctx, command, filepath.Join(dir, "prometheus.log"), p.see)
	if err != nil {
		return nil, err
	}
	return p, nil
}

var listens = regexp.MustCompile(`msg="Listening on".* address=([0-9.:]+)`)

// see looks for where Prometheus listens, and returns true once it is ready.
func (p *Prometheus) see(line []byte) bool {
	if match := listens.FindSubmatch(line); match != nil {
		p.URL = "http://" + string(match[1])
	}
	return bytes.Contains(line, []byte("Server is ready to receive web requests"))
}

// configuration is Prometheus' own.
func configuration(interval time.Duration, jobs []Job) string {
	var text strings.Builder
	fmt.Fprintf(&text, "global: {scrape_interval: %v, evaluation_interval: %v}\nrule_files: [rules.yaml]\nscrape_configs:\n", interval, interval)
	for _, j := range jobs {
		fmt.Fprintf(&text, "- job_name: %s\n  honor_labels: %v\n  static_configs:\n", j.Name, j.HonorLabels)
		for pod, target := range j.Targets {
			fmt.Fprintf(&text, "  - targets: [%q]\n    labels: {namespace: drainer, service: drainer, endpoint: metrics, container: drainer, pod: %s}\n", target, pod)
		}
	}
	return text.String()
}

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

// UnmarshalJSON reads Prometheus' pair of seconds and text.
func (p *Point) UnmarshalJSON(text []byte) error {
	var seconds float64
	var value string
	if err := json.Unmarshal(text, &[]any{&seconds, &value}); err != nil {
		return err
	}
	p.At = time.UnixMilli(int64(seconds * 1000))
	var err error
	p.Value, err = strconv.ParseFloat(value, 64)
	return err
}

// Series is one line of an answer, with one point or many.
type Series struct {
	Labels map[string]string `json:"metric"`
	Value  *Point            `json:"value"`
	Values []Point           `json:"values"`
}

// Points are the points of an answer of either kind.
func (s Series) Points() []Point {
	if s.Value != nil {
		return []Point{*s.Value}
	}
	return s.Values
}

// Now evaluates an expression at a time.
func (p *Prometheus) Now(ctx context.Context, expr string, at time.Time) ([]Series, error) {
	return p.series(ctx, "query", url.Values{"query": {expr}, "time": {stamp(at)}})
}

// Over evaluates an expression over a time.
func (p *Prometheus) Over(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	return p.series(ctx, "query_range", url.Values{
		"query": {expr}, "start": {stamp(from)}, "end": {stamp(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', 3, 64)},
	})
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (p *Prometheus) series(ctx context.Context, path string, form url.Values) ([]Series, error) {
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := p.ask(ctx, path, form, &data); err != nil {
		return nil, err
	}
	var all []Series
	if data.ResultType != "vector" && data.ResultType != "matrix" {
		return nil, fmt.Errorf("the answer is a %s", data.ResultType)
	}
	if err := json.Unmarshal(data.Result, &all); err != nil {
		return nil, fmt.Errorf("reading Prometheus' answer: %w", err)
	}
	return all, nil
}

// ask makes warnings and hints errors, too: whoever reads a dashboard does not
// see them.
func (p *Prometheus) ask(ctx context.Context, path string, form url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/api/v1/"+path, strings.NewReader(form.Encode()))
	if form == nil {
		request, err = http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/api/v1/"+path, nil)
	}
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	defer response.Body.Close()
	answer := struct {
		Data     any      `json:"data"`
		Error    string   `json:"error"`
		Warnings []string `json:"warnings"`
		Infos    []string `json:"infos"`
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("reading Prometheus' answer: %w", err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	if said := append(answer.Warnings, answer.Infos...); len(said) > 0 {
		return fmt.Errorf("Prometheus warns: %s", strings.Join(said, "; "))
	}
	return nil
}

// Alert is an alert that is pending or fires.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
}

// Alerts are those of the name.
func (p *Prometheus) Alerts(ctx context.Context, name string) ([]Alert, error) {
	var data struct {
		Alerts []Alert `json:"alerts"`
	}
	if err := p.ask(ctx, "alerts", nil, &data); err != nil {
		return nil, err
	}
	var all []Alert
	for _, a := range data.Alerts {
		if a.Labels["alertname"] == name {
			all = append(all, a)
		}
	}
	return all, nil
}

// Rule is how the last evaluation of a rule went.
type Rule struct {
	Name      string `json:"name"`
	Health    string `json:"health"`
	LastError string `json:"lastError"`
}

// Rules are all rules.
func (p *Prometheus) Rules(ctx context.Context) ([]Rule, error) {
	var data struct {
		Groups []struct {
			Rules []Rule `json:"rules"`
		} `json:"groups"`
	}
	if err := p.ask(ctx, "rules", nil, &data); err != nil {
		return nil, err
	}
	var all []Rule
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}
