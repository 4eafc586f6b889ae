// Package monitoring tests the dashboards, the alerts and the runbooks: by
// rules, with promtool, and with a real Prometheus that scrapes a real drain.
package monitoring
