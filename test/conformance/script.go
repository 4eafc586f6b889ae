package conformance

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed script/*.txt
var files embed.FS

// Section is the part of the script that runs in a namespace and on nodes of
// its own.
type Section struct {
	Name  string
	Steps []Step
}

// Step is a command and what it gives; empty if it only has to succeed.
type Step struct {
	Line    int
	Command string
	Want    string
}

// Script returns the sections, in order.
func Script() ([]Section, error) {
	paths, err := fs.Glob(files, "script/*.txt")
	if err != nil {
		return nil, fmt.Errorf("looking for the script: %w", err)
	}
	sections := make([]Section, 0, len(paths))
	for _, path := range paths {
		text, err := files.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the script: %w", err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "script/"), ".txt")
		section, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		sections = append(sections, section)
	}
	return sections, nil
}

func parse(name, text string) (Section, error) {
	s := Section{Name: name}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, "  "):
			s.Steps = append(s.Steps, Step{Line: i + 1, Command: line})
		case len(s.Steps) == 0:
			return s, fmt.Errorf("script/%s.txt:%d: an answer without a step: put a command above it", name, i+1)
		default:
			last := &s.Steps[len(s.Steps)-1]
			last.Want = strings.TrimPrefix(last.Want+"\n"+line[2:], "\n")
		}
	}
	return s, nil
}
