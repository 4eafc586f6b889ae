{{/*
The configuration file. A field that the values set, and that config sets, too,
is refused by drainer.validate.config.
*/}}
{{- define "drainer.config" -}}
{{- merge (include "drainer.config.values" . | fromYaml) (default dict .Values.config) | toYaml -}}
{{- end -}}

{{/* The fields of the configuration file that have a value. */}}
{{- define "drainer.config.values" -}}
{{- $v := .Values -}}
apiVersion: config.drainer.dev/v1alpha1
kind: DrainerConfiguration
maxDraining: {{ toJson $v.drain.maxDraining }}
{{- with $v.drain.maxUnavailable }}
maxUnavailable: {{ toJson . }}
{{- end }}
yieldAfter: {{ $v.drain.yieldAfter | quote }}
allowLastNode: {{ $v.drain.allowLastNode }}
barePods: {{ $v.drain.barePods }}
emptyDir: {{ $v.drain.emptyDir }}
drainTimeout: {{ $v.drain.timeout | quote }}
onTimeout: {{ $v.drain.onTimeout }}
allowDelete: {{ $v.drain.allowDelete }}
neverDelete:
  namespaces: {{ toJson $v.drain.neverDeleteNamespaces }}
stuckAfter: {{ $v.drain.stuckAfter | quote }}
settle: {{ $v.drain.settle | quote }}
waitForVolumeDetach: {{ $v.drain.waitForVolumeDetach }}
paceWithoutBudget: {{ $v.drain.paceWithoutBudget }}
eviction:
  qps: {{ $v.eviction.qps }}
  burst: {{ int64 $v.eviction.burst }}
  workers: {{ int64 $v.eviction.workers }}
  timeout: {{ $v.eviction.timeout | quote }}
{{- if $v.metrics.tls.secretName }}
metricsTLS:
  certFile: /etc/drainer-metrics-tls/tls.crt
  keyFile: /etc/drainer-metrics-tls/tls.key
  authorize: {{ $v.metrics.tls.authorize }}
{{- end }}
{{- end -}}

{{/* Not empty if a namespaceSelector of the configuration file looks at namespaces. */}}
{{- define "drainer.looksAtNamespaces" -}}
{{- $config := default dict .Values.config -}}
{{- range append (default list $config.rules) (dict "match" $config.trustPodAnnotations) -}}
{{- $match := default dict .match -}}
{{- if and (hasKey $match "namespaceSelector") (not (kindIs "invalid" $match.namespaceSelector)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if a rule of the configuration file looks at the replicas of controllers. */}}
{{- define "drainer.looksAtScales" -}}
{{- range (default dict .Values.config).rules -}}
{{- $match := default dict .match -}}
{{- if and (hasKey $match "replicas") (not (kindIs "invalid" $match.replicas)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "drainer.configName" -}}
{{- printf "%s-config" (include "drainer.fullname" .) -}}
{{- end -}}
