// Package secrets finds secrets in logs.
package secrets

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// looks are what credentials look like, whoever they belong to.
var looks = map[string]*regexp.Regexp{
	"a token of a ServiceAccount": regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}`),
	"a header with a credential":  regexp.MustCompile(`(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{16,}`),
	"a private key":               regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`),
}

// dumped is a line of a hexadecimal dump, as client-go logs what is no text.
var dumped = regexp.MustCompile(`\b[0-9a-f]{8}  ((?:[0-9a-f]{2} +){1,16})\|`)

// In says of each line of a log that has a secret which one: a known one, by its
// name, or what looks like a credential. Secrets in hexadecimal dumps are found, too.
func In(log io.Reader, known map[string]string) (found []string, err error) {
	lines := bufio.NewReader(log)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		for _, what := range inLine(line, known) {
			found = append(found, fmt.Sprintf("line %d has %s", n, what))
		}
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return found, fmt.Errorf("looking for secrets in a log: %w", err)
		}
	}
}

// InFile is In for a file.
func InFile(path string, known map[string]string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("looking for secrets in a log: %w", err)
	}
	defer file.Close()
	found, err := In(file, known)
	for i := range found {
		found[i] = path + ": " + found[i]
	}
	return found, err
}

func inLine(line string, known map[string]string) (found []string) {
	// A secret of several lines is one of the log.
	line = strings.ReplaceAll(line, `\n`, "\n")
	text := line + "\n" + undump(line)
	for name, secret := range known {
		if secret != "" && strings.Contains(text, secret) {
			found = append(found, name)
		}
	}
	for name, look := range looks {
		if look.MatchString(text) {
			found = append(found, name)
		}
	}
	return found
}

// undump is what the hexadecimal dumps in a text are of.
func undump(text string) string {
	var all strings.Builder
	for _, match := range dumped.FindAllStringSubmatch(text, -1) {
		if bytes, err := hex.DecodeString(strings.ReplaceAll(match[1], " ", "")); err == nil {
			all.Write(bytes)
		}
	}
	return all.String()
}
