package prose

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// words are those to avoid, as regular expressions, with what to write instead.
var words = map[string]string{
	`gets? on\b|getting on\b|got on\b`:                          "makes progress, continues",
	`(hand(s|ed|ing)?|giv(e|es|en|ing)|gave)( \w+){0,3} back\b`: "release, uncordon",
	`(take|takes|taken|taking|took) back\b`:                     "remove, cancel",
	`\bmend(s|ed|ing)?\b`:                                       "fix",
	`\banew\b`:                                                  "again, restart, regenerate",
	`nothing to be told\b`:                                      "raises no alert",
	`in vain\b`:                                                 "waited, and it did not happen",
	`none of .{0,20} business`:                                  "ignores",
	`came by (kustomize|helm)`:                                  "was installed with",
	`cannot lose\b`:                                             "stateless",
	`truthful(ly)?\b`:                                           "accurate",
	`before your eyes`:                                          "while you watch",
	`call(s|ed)? (it|the drain) off`:                            "cancel",
	`what helps\b`:                                              "fix",
	`(no|any) certain\b`:                                        "no particular",
	`for want of\b`:                                             "because there is no",
	`in the midst of\b`:                                         "during",
	`ends? in order\b`:                                          "shuts down cleanly",
	`kind of processor\b`:                                       "architecture",
	`what is the matter\b`:                                      "what is wrong",
	`sees? to it\b`:                                             "makes sure, ensures",
	`at the most\b`:                                             "at most",
	`wait(s|ed)? for (its|their) turn\b`:                        "is queued",
	`what (would|will) become of\b`:                             "what would happen to",
	`whatever becomes of\b`:                                     "independently of",
	`ha(s|ve) a mistake\b`:                                      "is invalid",
	`nothing (moves|is paused) any ?more\b`:                     "nothing changes after, resumed",
	`none (opens|comes) any ?more\b`:                            "none opens again",
	`takes? for granted\b`:                                      "assumes, assumptions",
	`\d+ of 100\b`:                                              "p95",
	`sees? no drainer\b`:                                        "is scraping no drainer target",
	`meanwhile\b`:                                               "in the meantime",
	`guessed at\b`:                                              "rejected",
	`nobody can know\b`:                                         "unknown",
	`unknowingly\b`:                                             "by accident",
	`never in doubt\b`:                                          "handles unknown outcomes",
	`bring (it|the \w+) along\b`:                                "create, include",
	`nobody misses\b`:                                           "that you can spare",
	`seldom(ly)?\b`:                                             "rarely, less often",
	`(go(es)?|went) on\b`:                                       "continues",
	`any ?more\b`:                                               "no longer",
	`in turn\b`:                                                 "one after the other, alternating",
	`for (good|ever)\b`:                                         "permanently, forever",
	`what is there now\b`:                                       "the current state",
	`(became|become|becomes) of\b`:                              "what happened to, the outcome of",
	`all the same\b`:                                            "anyway, still",
	`and the like\b`:                                            "and similar ones",
	`thereby\b`:                                                 "by that, so",
	`shall\b`:                                                   "must, will",
	`puts? right\b`:                                             "fix, undo",
	`of its own accord\b`:                                       "by itself, or nothing",
	`what (came|comes) of\b`:                                    "the result of",
}

// read are the files whose text people read: documents, the chart, and Go, whose
// comments and messages count.
var read = map[string]bool{
	".md": true, ".gotmpl": true, ".yaml": true, ".tpl": true, ".txt": true, ".go": true,
	".json": true, ".yml": true, ".sh": true, "Makefile": true, "Dockerfile": true,
}

// TestWords: nothing that people read has a word to avoid.
func TestWords(t *testing.T) {
	// One expression for all words reads the text once. A phrase may continue in the next line,
	// also of a comment.
	phrases := strings.Join(slices.Sorted(maps.Keys(words)), "|")
	any := regexp.MustCompile(`(?i)\b(?:` + strings.ReplaceAll(phrases, " ", between) + `)`)
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") && name != ".github" || name == "bin" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !read[filepath.Ext(name)] && !read[name] || name == "prose_test.go" {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, at := range any.FindAllIndex(text, -1) {
			found := string(text[at[0]:at[1]])
			t.Errorf("%s:%d: %q: write %s", path, 1+bytes.Count(text[:at[0]], []byte("\n")), found, instead(found))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("only %d files were read", files)
	}
}

// between is what may separate the words of a phrase.
const between = `\s+(?:(?://|#) *)?`

// instead is what to write instead of what was found.
func instead(found string) string {
	for word, instead := range words {
		if regexp.MustCompile(`(?i)^(?:` + strings.ReplaceAll(word, " ", between) + `)`).MatchString(found) {
			return instead
		}
	}
	return "something else"
}
