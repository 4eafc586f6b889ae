{{/*
What ServiceMonitor and PodMonitor say in the same words: scrape is of the whole
monitor, endpoint of its only endpoint.
*/}}
{{- define "drainer.scrape" -}}
{{- $scrape := dict -}}
{{- with .jobLabel }}{{ $_ := set $scrape "jobLabel" . }}{{ end -}}
{{- with .podTargetLabels }}{{ $_ := set $scrape "podTargetLabels" . }}{{ end -}}
{{- with int64 .sampleLimit }}{{ $_ := set $scrape "sampleLimit" . }}{{ end -}}
{{- with $scrape }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- define "drainer.endpoint" -}}
{{- $tls := .root.Values.metrics.tls -}}
{{- with .monitor -}}
port: metrics
path: /metrics
{{- if $tls.secretName }}
scheme: https
{{- end }}
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .authorization }}
authorization:
  {{- toYaml . | nindent 2 }}
{{- end }}
honorLabels: {{ .honorLabels }}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
