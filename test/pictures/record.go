package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"drainer.dev/drainer/pkg/simulate"
)

// moment is a cluster at one time, as the plugin reads it.
type moment struct {
	At      time.Time        `json:"at"`
	Objects simulate.Objects `json:"objects"`
	// Refusals are the API server's answers about evictions that it would not
	// admit, by the pods' namespaces and names.
	Refusals map[string]metav1.Status `json:"refusals"`
}

// path is the file of the moment of a name.
func path(root, name string) string {
	return filepath.Join(root, "test", "pictures", "testdata", name+".json")
}

func readMoment(root, name string) (*moment, error) {
	text, err := os.ReadFile(path(root, name))
	if err != nil {
		return nil, fmt.Errorf("reading what was recorded: %w", err)
	}
	m := &moment{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path(root, name), err)
	}
	return m, nil
}

func (m *moment) write(root, name string) error {
	for _, o := range m.list() {
		o.(metav1.Object).SetManagedFields(nil)
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path(root, name)), 0o755); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if err := os.WriteFile(path(root, name), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// list is all objects, for a fake API server.
func (m *moment) list() []runtime.Object {
	o := &m.Objects
	var all []runtime.Object
	for i := range o.Nodes {
		all = append(all, &o.Nodes[i])
	}
	for i := range o.Pods {
		all = append(all, &o.Pods[i])
	}
	for i := range o.Budgets {
		all = append(all, &o.Budgets[i])
	}
	for i := range o.Deployments {
		all = append(all, &o.Deployments[i])
	}
	for i := range o.ReplicaSets {
		all = append(all, &o.ReplicaSets[i])
	}
	for i := range o.StatefulSets {
		all = append(all, &o.StatefulSets[i])
	}
	for i := range o.DaemonSets {
		all = append(all, &o.DaemonSets[i])
	}
	return all
}

// admitted is the answer about an eviction that the API server would admit.
const admitted = http.StatusCreated
