// Package chart keeps the module of the Prometheus operator's types in
// go.mod.
package chart

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
