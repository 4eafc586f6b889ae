{{/* The flags that have a value, one a line. A test compares them with the program's. */}}
{{- define "drainer.args" -}}
{{- $v := .Values -}}
{{- with $v.drain.nodeSelector }}
- {{ printf "--node-selector=%s" . | quote }}
{{- end }}
- {{ printf "--max-draining=%s" (toString $v.drain.maxDraining) | quote }}
- {{ printf "--allow-last-node=%t" $v.drain.allowLastNode }}
- {{ printf "--bare-pods=%s" $v.drain.barePods }}
- {{ printf "--empty-dir=%s" $v.drain.emptyDir }}
- {{ printf "--drain-timeout=%s" $v.drain.timeout }}
- {{ printf "--on-timeout=%s" $v.drain.onTimeout }}
- {{ printf "--stuck-after=%s" $v.drain.stuckAfter }}
- {{ printf "--settle=%s" $v.drain.settle }}
- {{ printf "--eviction-qps=%v" $v.eviction.qps }}
- {{ printf "--eviction-burst=%d" (int64 $v.eviction.burst) }}
- {{ printf "--eviction-workers=%d" (int64 $v.eviction.workers) }}
- {{ printf "--eviction-timeout=%s" $v.eviction.timeout }}
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
