package monitoring

import (
	"context"
	"testing"

	"drainer.dev/drainer/test/shells"
	"drainer.dev/drainer/test/suite"
)

// folder is for the files of the stage and of Prometheus.
var folder string

func TestMain(m *testing.M) {
	shells.Report()
	suite.Main(m, "monitoring", func(_ context.Context, dir string) error { folder = dir; return nil }, func() error { return nil })
}
