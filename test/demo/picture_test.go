package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestPicture: every node that is drained is in the picture, which is XML.
func TestPicture(t *testing.T) {
	p := picture{nodes: []string{"a", "b"}}
	for _, node := range p.nodes {
		p.add(node, 0, 0, 0, "")
		p.add(node, time.Second, 3, 1, api.Draining)
		p.add(node, 2*time.Second, 3, 1, api.Draining)
		p.add(node, 3*time.Second, 0, 0, api.Draining)
		p.add(node, 5*time.Second, 0, 0, api.Drained)
		if n := len(p.samples[node]); n != 3 {
			t.Errorf("%d samples of %s are kept, want 3", n, node)
		}
	}
	text := p.svg()
	for _, want := range []string{"a Drained", "b Drained", "stroke-dasharray"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
