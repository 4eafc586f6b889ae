{{/*
The flags that have a value, one a line; _config.tpl has the other values. A
test compares them with the program's.
*/}}
{{- define "drainer.args" -}}
{{- $v := .Values -}}
{{- with $v.drain.nodeSelector }}
- {{ printf "--node-selector=%s" . | quote }}
{{- end }}
- --config=/etc/drainer-config/drainer.yaml
- {{ printf "--kube-api-qps=%v" $v.kubeAPI.qps }}
- {{ printf "--kube-api-burst=%d" (int64 $v.kubeAPI.burst) }}
- {{ printf "--metrics-bind-address=:%d" (int64 $v.metrics.port) }}
- {{ printf "--health-bind-address=:%d" (int64 $v.health.port) }}
{{- if $v.pprof.enabled }}
- {{ printf "--pprof-bind-address=127.0.0.1:%d" (int64 $v.pprof.port) }}
{{- end }}
- {{ printf "--leader-elect=%t" $v.leaderElection.enabled }}
{{- if $v.leaderElection.enabled }}
- {{ printf "--leader-elect-lease-duration=%s" $v.leaderElection.leaseDuration }}
- {{ printf "--leader-elect-renew-deadline=%s" $v.leaderElection.renewDeadline }}
- {{ printf "--leader-elect-retry-period=%s" $v.leaderElection.retryPeriod }}
- {{ printf "--leader-elect-resource-name=%s" $v.leaderElection.resourceName }}
{{- with $v.leaderElection.resourceNamespace }}
- {{ printf "--leader-elect-resource-namespace=%s" . }}
{{- end }}
{{- end }}
- {{ printf "--logging-format=%s" $v.logging.format }}
- {{ printf "--v=%d" (int64 $v.logging.verbosity) }}
{{- end -}}
