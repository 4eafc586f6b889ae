package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Marks are what rules have requested on a Node because something marked it, by
// the names of the rules.
type Marks map[string]MarkRecord

// MarkRecord is the last request of a rule on a Node. As long as the rule has not
// seen the mark cleared since, it makes no other request there.
type MarkRecord struct {
	// Request is the request's ID. It may be that of another rule, whose request was
	// there already.
	Request string `json:"request"`
	// RequestedAt is when the rule requested the drain.
	RequestedAt time.Time `json:"requestedAt"`
	// ClearedAt is when the mark cleared; nil if it has not cleared.
	ClearedAt *time.Time `json:"clearedAt,omitempty"`
}

// ParseMarks reads a MarksAnnotation. The empty text has no marks.
func ParseMarks(text string) (Marks, error) {
	marks := Marks{}
	if text == "" {
		return marks, nil
	}
	if err := json.Unmarshal([]byte(text), &marks); err != nil {
		return nil, fmt.Errorf("reading %s: %w", MarksAnnotation, err)
	}
	if marks == nil {
		marks = Marks{}
	}
	return marks, nil
}

// Format is the text of a MarksAnnotation, empty without marks.
func (m Marks) Format() string {
	if len(m) == 0 {
		return ""
	}
	text, err := json.Marshal(m)
	if err != nil {
		return "" // It can fail only for a year after 9999.
	}
	return string(text)
}

// MarkRequest is the ID of the request that a rule makes because of a mark that a
// Node has had since the time.
func MarkRequest(rule string, since time.Time) string {
	return rule + "/" + since.UTC().Format(time.RFC3339)
}

// MaxMarkRule bounds a rule's name, so that its requests have valid IDs.
const MaxMarkRule = MaxIDBytes - len("/") - len("2006-01-02T15:04:05Z")

// RuleOfRequest is the rule whose request has the ID; empty if it is no rule's.
func RuleOfRequest(id string) string {
	end := strings.LastIndexByte(id, '/')
	if end < 0 {
		return ""
	}
	if _, err := time.Parse(time.RFC3339, id[end+1:]); err != nil {
		return ""
	}
	return id[:end]
}

// LatchedRules reads a LatchedAnnotation.
func LatchedRules(text string) []string {
	var rules []string
	for _, rule := range strings.Split(text, ",") {
		if rule = strings.TrimSpace(rule); rule != "" {
			rules = append(rules, rule)
		}
	}
	return rules
}
