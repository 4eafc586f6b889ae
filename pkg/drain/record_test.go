package drain

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// fieldsOf names the JSON fields of a struct, those of structs within it as a.b, and
// those of lists as a[].b.
func fieldsOf(of reflect.Type, prefix string) []string {
	var fields []string
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		name = prefix + name
		inner := of.Field(i).Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice {
				name += "[]"
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			fields = append(fields, fieldsOf(inner, name+".")...)
			continue
		}
		fields = append(fields, name)
	}
	return fields
}

// TestReferenceStatus: the reference names the fields of the status and of the record of
// a drain, and no others. It may name those that contain others.
func TestReferenceStatus(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/status.md")
	if err != nil {
		t.Fatal(err)
	}
	status, rec, found := strings.Cut(string(text), "## The record of a drain")
	if !found {
		t.Fatal("status.md has no record of a drain")
	}
	for what, page := range map[string]struct {
		text   string
		fields []string
	}{
		"the status": {status, fieldsOf(reflect.TypeFor[api.Status](), "")},
		"the record": {rec, fieldsOf(reflect.TypeFor[record](), "")},
	} {
		var documented []string
		for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(page.text, -1) {
			for name := range strings.SplitSeq(row[1], ", ") {
				documented = append(documented, strings.Trim(name, "`"))
			}
		}
		for _, field := range page.fields {
			if !slices.Contains(documented, field) {
				t.Errorf("%s has the field %s, status.md does not", what, field)
			}
		}
		for _, name := range documented {
			if !slices.ContainsFunc(page.fields, func(field string) bool {
				return field == name || strings.HasPrefix(field, name+".") || strings.HasPrefix(field, name+"[].") || field+"[]" == name
			}) {
				t.Errorf("status.md has %s, %s does not", name, what)
			}
		}
	}
}
