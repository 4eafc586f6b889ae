package main

import (
	"io"
	"strings"
	"testing"

	"k8s.io/klog/v2"
)

// TestLoggerHidesBodies: the bodies of requests and answers are in no log, whoever
// logs them; the lines that they are in are.
func TestLoggerHidesBodies(t *testing.T) {
	t.Cleanup(func() {
		defaults().logger(io.Discard) // As deep as without the test.
		klog.ClearLogger()
	})
	for _, format := range []string{"text", "json"} {
		var log strings.Builder
		o := defaults()
		o.Logging.Format, o.Logging.Verbosity = format, 10
		logger := o.logger(&log)
		for _, l := range []klog.Logger{logger, klog.Background()} {
			l.V(8).Info("Request Body", "body", "the token", "verb", "POST")
		}
		if text := log.String(); strings.Contains(text, "the token") || strings.Count(text, "POST") != 2 || !strings.Contains(text, "V8") {
			t.Errorf("the log as %s is\n%s", format, text)
		}
	}
}
