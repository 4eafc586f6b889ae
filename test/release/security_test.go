package release

import (
	"regexp"
	"strings"
	"testing"
)

// TestSecurityIsTested: every test by which the threat model shows something is
// there.
func TestSecurityIsTested(t *testing.T) {
	var tests strings.Builder
	for _, file := range sources(t) {
		if strings.HasSuffix(file, "_test.go") {
			tests.WriteString(read(t, file))
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(read(t, "docs/security.md"), -1)
	if len(named) < 20 {
		t.Errorf("docs/security.md names only %v", named)
	}
	for _, name := range named {
		if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(t *testing.T)") {
			t.Errorf("docs/security.md names %s, which there is not", name[1])
		}
	}
}
