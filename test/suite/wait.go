package suite

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/await"
)

// begun is when this process began: go test ends it a minute after its
// -timeout, which the preparation of the tests counts towards.
var begun = time.Now()

// deadline is when waits end, so that tests still say what they waited for
// before go test ends them. There is none with -timeout=0.
func deadline() (time.Time, time.Duration) {
	timeout := time.Duration(0)
	if f := flag.Lookup("test.timeout"); f != nil {
		if getter, ok := f.Value.(flag.Getter); ok {
			timeout, _ = getter.Get().(time.Duration)
		}
	}
	return begun.Add(timeout - min(time.Minute, timeout/10)), timeout
}

// limited ends shortly before the time of the whole suite does.
func limited(parent context.Context) (context.Context, context.CancelFunc) {
	at, timeout := deadline()
	if timeout <= 0 {
		return context.WithCancel(parent)
	}
	return context.WithDeadlineCause(parent, at, fmt.Errorf("the suite's -timeout=%v is nearly over", timeout))
}

// Context ends with the test, and shortly before the time of the whole suite
// does.
func Context(t testing.TB) context.Context {
	ctx, cancel := limited(t.Context())
	t.Cleanup(cancel)
	return ctx
}

// Closing is the context for what a test does when its own has ended. It ends
// shortly before the time of the whole suite does.
func Closing(t testing.TB) context.Context {
	ctx, cancel := limited(context.Background())
	t.Cleanup(cancel)
	return ctx
}

// progress writes lines that name the test. They do not wait for the test's
// end, as those of its log do.
type progress struct{ name string }

func (p progress) Write(text []byte) (int, error) {
	return fmt.Fprintf(os.Stderr, "%s: %s", p.name, text)
}

// Progress is where a test reports its progress.
func Progress(t testing.TB) io.Writer { return progress{t.Name()} }

// Await waits until the condition holds, which is checked whenever changed
// tells, and now and then if changed is nil. The test fails if it never holds.
func Await(t testing.TB, changed func() <-chan struct{}, what string, condition func() error) {
	t.Helper()
	w := await.Waiter{Progress: Progress(t), Changed: changed}
	if err := w.Until(Context(t), what, condition); err != nil {
		t.Fatal(err)
	}
}

// Receive waits for the next value of a channel. The test ends if none comes.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	value, err := await.Receive(Context(t), await.Waiter{Progress: Progress(t)}, what, from)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// While runs something that ends when the context ends, and returns its error.
func While(t testing.TB, what string, do func(context.Context) error) error {
	t.Helper()
	return await.Waiter{Progress: Progress(t)}.While(Context(t), what, do)
}

// Run runs a command that is made for the context, and returns what it wrote.
// The error has that, too.
func Run(t testing.TB, command func(context.Context) *exec.Cmd) (string, error) {
	t.Helper()
	ctx := Context(t)
	c := command(ctx)
	// What it started may hold its output open after its end.
	c.WaitDelay = 10 * time.Second
	name, _, _ := strings.Cut(strings.Join(append([]string{filepath.Base(c.Path)}, c.Args[1:]...), " "), "\n")
	var out []byte
	err := await.Waiter{Progress: Progress(t)}.While(ctx, name, func(context.Context) (err error) {
		out, err = c.CombinedOutput()
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return string(out), err
}
