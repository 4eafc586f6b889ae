{{/* The name that labels carry. */}}
{{- define "drainer.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of all objects. A release named after the chart does not say it twice. */}}
{{- define "drainer.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "drainer.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "drainer.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "drainer.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "drainer.leaseNamespace" -}}
{{- default (include "drainer.namespace" .) .Values.leaderElection.resourceNamespace -}}
{{- end -}}

{{- define "drainer.serviceAccountName" -}}
{{- default (include "drainer.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* What never changes and tells drainer's pods from all others. */}}
{{- define "drainer.selectorLabels" -}}
app.kubernetes.io/name: {{ include "drainer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "drainer.labels" -}}
{{- $version := regexReplaceAll "[^A-Za-z0-9._-]" .Chart.AppVersion "_" -}}
{{- $own := dict
  "app.kubernetes.io/version" $version
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- /* commonLabels cannot change what selectors look for. */ -}}
{{- toYaml (merge (include "drainer.selectorLabels" . | fromYaml) $own .Values.commonLabels) -}}
{{- end -}}

{{/*
metadata is the metadata of an object. Its arguments are the root, and where
they differ from the usual: name, namespace ("" for none), labels, annotations.
*/}}
{{- define "drainer.metadata" -}}
{{- $root := .root -}}
name: {{ default (include "drainer.fullname" $root) .name }}
{{- if not .cluster }}
namespace: {{ default (include "drainer.namespace" $root) .namespace }}
{{- end }}
labels:
  {{- toYaml (merge (include "drainer.labels" $root | fromYaml) (default dict .labels)) | nindent 2 }}
{{- with merge (dict) (default dict .annotations) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "drainer.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (printf "v%s" .Chart.AppVersion) $image.tag) -}}
{{- end -}}
{{- end -}}
