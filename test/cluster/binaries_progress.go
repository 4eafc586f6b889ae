package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// often is how often a person is told how far a build is.
const often = 10 * time.Second

// count tells a person how far a build is: it reads what go build -v writes,
// which names a package when it begins to compile it and no package that is in
// Go's cache.
type count struct {
	saying   sync.Mutex
	progress io.Writer
	begun    time.Time

	mu sync.Mutex
	// total is how many packages have to be compiled, of which stale are not
	// named yet; both are unknown until they are listed.
	total      int
	listed     bool
	stale      map[string]bool
	downloaded int
	rest       []byte
	output     bytes.Buffer

	done, ended chan struct{}
}

// startCount asks go which packages of the programs are not in its cache, and
// begins to tell how far they are. A program is stale as long as it is not
// linked, whether its own package is in the cache or not: it does not count.
func startCount(ctx context.Context, module string, g group, progress io.Writer) (*count, error) {
	c := newCount(progress)
	c.say("building %s", g.names())
	command := exec.CommandContext(ctx, "go", append([]string{
		"list", "-deps", "-f", `{{if and .Stale (ne .Name "main")}}{{.ImportPath}}{{end}}`, "-tags", g[0].tags,
	}, g.packages()...)...)
	command.Dir, command.Env = module, buildEnvironment()
	command.Stderr = c
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages of %s: %w\n%s", g.names(), err, c.stop())
	}
	c.found(strings.Fields(string(out)))
	return c, nil
}

// found takes the packages that have to be compiled.
func (c *count) found(stale []string) {
	c.mu.Lock()
	for _, name := range stale {
		c.stale[name] = true
	}
	c.total, c.listed = len(c.stale), true
	c.mu.Unlock()
	c.say("  %d packages to compile", len(stale))
}

// say writes a line for the person.
func (c *count) say(format string, args ...any) {
	c.saying.Lock()
	defer c.saying.Unlock()
	fmt.Fprintf(c.progress, format+"\n", args...)
}

// newCount begins to tell; stop ends it.
func newCount(progress io.Writer) *count {
	c := &count{
		progress: progress, begun: time.Now(), stale: map[string]bool{},
		done: make(chan struct{}), ended: make(chan struct{}),
	}
	go c.tell()
	return c
}

// Write takes what go writes.
func (c *count) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, text...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		c.rest = rest
		c.line(string(line))
	}
}

func (c *count) line(text string) {
	switch {
	case strings.HasPrefix(text, "go: downloading "):
		c.downloaded++
	case c.stale[text]:
		delete(c.stale, text)
	default:
		c.output.WriteString(text + "\n")
	}
}

// tell reports the progress from time to time.
func (c *count) tell() {
	defer close(c.ended)
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
			c.say("  %s, after %s", c.state(), time.Since(c.begun).Round(time.Second))
		}
	}
}

// state is how far it is.
func (c *count) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch begun := c.total - len(c.stale); {
	case !c.listed && c.downloaded > 0:
		return fmt.Sprintf("downloading module %d", c.downloaded)
	case !c.listed:
		return "finding out what there is to compile"
	case len(c.stale) == 0:
		return "compiling the last packages, linking"
	default:
		return fmt.Sprintf("compiling package %d of %d", begun, c.total)
	}
}

// stop ends the telling and returns what go has said besides.
func (c *count) stop() string {
	close(c.done)
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	c.output.Write(c.rest)
	return c.output.String()
}
