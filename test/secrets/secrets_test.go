package secrets

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMifQ.c2lnbmF0dXJl"

// logged is a text as drainer logs it in JSON.
func logged(text string) string {
	line, err := json.Marshal(map[string]string{"msg": "Request Body", "body": text})
	if err != nil {
		panic(err)
	}
	return string(line)
}

// TestIn: a secret is found wherever it stands, and what is none is not.
func TestIn(t *testing.T) {
	known := map[string]string{"the admin's token": "0123456789abcdef", "nothing": ""}
	dump := hex.Dump([]byte("\x00\x01a review of " + token + "\x02 and of 0123456789abcdef"))
	for name, test := range map[string]struct {
		line string
		want []string
	}{
		"none":                {`{"msg":"Started","identity":"host_0123"}`, nil},
		"a masked header":     {logged("Authorization: Bearer <masked>"), nil},
		"a sentence":          {logged("expected a bearer token of the cluster"), nil},
		"a certificate":       {logged("-----BEGIN CERTIFICATE-----\nMIIB"), nil},
		"a known one":         {logged("x 0123456789abcdef y"), []string{"the admin's token"}},
		"a token":             {logged("token=" + token), []string{"a token of a ServiceAccount"}},
		"a token cut short":   {logged(token[:40]), []string{"a token of a ServiceAccount"}},
		"a header":            {logged("Authorization: Bearer YWJjZGVmZ2hpamtsbW5v"), []string{"a header with a credential"}},
		"another header":      {logged("authorization: basic YWJjZGVmZ2hpamtsbW5v"), []string{"a header with a credential"}},
		"a key":               {logged("-----BEGIN EC PRIVATE KEY-----\nMHcC"), []string{"a private key"}},
		"a dump in JSON":      {logged(dump), []string{"a token of a ServiceAccount", "the admin's token"}},
		"a dump as text":      {"body=" + strings.ReplaceAll(dump, "\n", `\n`), []string{"a token of a ServiceAccount", "the admin's token"}},
		"the dump of no text": {logged(hex.Dump(make([]byte, 64))), nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := In(strings.NewReader("first\n"+test.line), known)
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				found[i] = strings.TrimPrefix(found[i], "line 2 has ")
			}
			if slices.Sort(found); !slices.Equal(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

// TestInFile: what is found names the file and the line.
func TestInFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drainer.log")
	if err := os.WriteFile(path, []byte("fine\n"+token+"\nfine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := InFile(path, nil)
	if want := path + ": line 2 has a token of a ServiceAccount"; err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("found %q, %v, want %q", found, err, want)
	}
	if _, err := InFile(path+".none", nil); err == nil {
		t.Error("a file that is not there has no secrets")
	}
}
