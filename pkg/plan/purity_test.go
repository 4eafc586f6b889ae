package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// allowed are the packages that this one may import.
var allowed = []string{
	"drainer.dev/drainer/pkg/api",
	"k8s.io/api/core/v1", "k8s.io/api/policy/v1", "k8s.io/api/storage/v1",
	"k8s.io/apimachinery/pkg/api/errors", "k8s.io/apimachinery/pkg/apis/meta/v1", "k8s.io/apimachinery/pkg/labels",
	"k8s.io/apimachinery/pkg/selection", "k8s.io/apimachinery/pkg/types", "k8s.io/apimachinery/pkg/util/intstr",
	"cmp", "encoding/json", "errors", "fmt", "hash/fnv", "maps", "net/http", "slices", "strconv", "strings", "time",
}

// TestPure: the package has no client, clock, lock or goroutine. net/http is
// there for the names of status codes.
func TestPure(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		checked++
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range tree.Imports {
			if path, _ := strconv.Unquote(spec.Path.Value); !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", file, path)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s has a %T", file, n)
			case *ast.SelectorExpr:
				if of, ok := n.X.(*ast.Ident); ok && impure(of.Name, n.Sel.Name) {
					t.Errorf("%s uses %s.%s", file, of.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
	if checked < 10 {
		t.Errorf("%d files were checked", checked)
	}
}

// impure is true for what reads the clock or reaches the network.
func impure(pkg, name string) bool {
	switch pkg {
	case "time":
		return slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}, name)
	case "http":
		return !strings.HasPrefix(name, "Status")
	default:
		return false
	}
}

// TestDependencies: nothing that the package depends on, however indirectly,
// knows a client, and of ours it depends on the protocol alone.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("listing the dependencies: %v", err)
	}
	for _, dependency := range strings.Fields(string(out)) {
		ours := strings.HasPrefix(dependency, "drainer.dev/drainer/") && dependency != "drainer.dev/drainer/pkg/api" && dependency != "drainer.dev/drainer/pkg/plan"
		if ours || strings.HasPrefix(dependency, "k8s.io/client-go") {
			t.Errorf("the package depends on %s", dependency)
		}
	}
}

// TestMakeWritesNothing: two plans of one snapshot can be made at a time, and
// are the same. The race detector makes sure that neither writes to it.
func TestMakeWritesNothing(t *testing.T) {
	s := fleet(noon, 20, 20, 10)
	var plans [2]Plan
	var wg sync.WaitGroup
	for i := range plans {
		wg.Go(func() { plans[i] = Make(s) })
	}
	wg.Wait()
	if !reflect.DeepEqual(granted(plans[0]), granted(plans[1])) || !reflect.DeepEqual(messages(plans[0]), messages(plans[1])) {
		t.Error("two plans of one snapshot differ")
	}
}

// TestMatchIsOptional: a pod that was not matched before is matched by Make,
// with the same plan.
func TestMatchIsOptional(t *testing.T) {
	s := fleet(noon, 5, 20, 10)
	matched := Make(s)
	for _, list := range s.Pods {
		for _, e := range list {
			e.matched, e.matchedEpoch = nil, 0
		}
	}
	if unmatched := Make(s); !reflect.DeepEqual(granted(matched), granted(unmatched)) || !reflect.DeepEqual(messages(matched), messages(unmatched)) {
		t.Error("the plan depends on whether pods were matched before")
	}
}
