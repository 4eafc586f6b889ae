package forecast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPure: the package starts no goroutine and reads no clock, and nothing that
// it depends on knows a client.
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
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s has a %T", file, n)
			case *ast.SelectorExpr:
				if of, ok := n.X.(*ast.Ident); ok && of.Name == "time" && clock[n.Sel.Name] {
					t.Errorf("%s uses time.%s", file, n.Sel.Name)
				}
			}
			return true
		})
	}
	if checked < 8 {
		t.Errorf("%d files were checked", checked)
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("listing the dependencies: %v", err)
	}
	if !strings.Contains(string(out), "drainer.dev/drainer/pkg/plan") {
		t.Error("the list of dependencies is not that of the package")
	}
	for _, dependency := range strings.Fields(string(out)) {
		if strings.HasPrefix(dependency, "k8s.io/client-go") {
			t.Errorf("the package depends on %s", dependency)
		}
	}
}

// clock is what of package time reads the clock or waits.
var clock = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true,
}
