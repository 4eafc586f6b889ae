{{- define "drainer.podSpec" -}}
serviceAccountName: {{ include "drainer.serviceAccountName" . }}
automountServiceAccountToken: true
# Up to 10 s are used: evictions under way are waited for.
terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "drainer.affinity" . | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
{{- $constraint := . -}}
{{- if not (hasKey . "labelSelector") -}}
{{- $constraint = merge (dict "labelSelector" (dict "matchLabels" (include "drainer.selectorLabels" $ | fromYaml))) . -}}
{{- end }}
- {{ toYaml $constraint | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.initContainers }}
initContainers:
{{ toYaml . }}
{{- end }}
containers:
- name: drainer
  {{- include "drainer.container" . | nindent 2 }}
{{- with .Values.extraContainers }}
{{ toYaml . }}
{{- end }}
volumes:
- name: drainer-config
  configMap:
    name: {{ include "drainer.configName" . }}
{{- with .Values.metrics.tls.secretName }}
- name: metrics-tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "drainer.container" -}}
image: {{ include "drainer.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
{{ include "drainer.args" . | trim }}
{{- range .Values.extraArgs }}
- {{ quote . }}
{{- end }}
env:
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
# So that drainer evicts its own pod last.
- name: POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- $names := list -}}
{{- range .Values.extraEnv }}{{- $names = append $names .name }}{{- end }}
{{- if and (dig "limits" "memory" "" (.Values.resources | default dict)) (not (has "GOMEMLIMIT" $names)) }}
# So that the Go runtime collects garbage harder before the limit is reached.
- name: GOMEMLIMIT
  valueFrom:
    resourceFieldRef:
      resource: limits.memory
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
- name: metrics
  containerPort: {{ int64 .Values.metrics.port }}
- name: health
  containerPort: {{ int64 .Values.health.port }}
livenessProbe:
  httpGet:
    path: /livez
    port: health
  {{- with .Values.livenessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
readinessProbe:
  httpGet:
    path: /readyz
    port: health
  {{- with .Values.readinessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.startupProbe }}
startupProbe:
  httpGet:
    path: /livez
    port: health
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
- name: drainer-config
  mountPath: /etc/drainer-config
  readOnly: true
{{- if .Values.metrics.tls.secretName }}
- name: metrics-tls
  mountPath: /etc/drainer-metrics-tls
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The affinity of the values, and the anti-affinity unless they have one of their own. */}}
{{- define "drainer.affinity" -}}
{{- $spread := dict -}}
{{- if gt (int64 .Values.replicaCount) 1 -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "drainer.selectorLabels" . | fromYaml)) -}}
{{- if eq .Values.podAntiAffinity "Required" -}}
{{- $spread = dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else if eq .Values.podAntiAffinity "Preferred" -}}
{{- $spread = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term))) -}}
{{- end -}}
{{- end -}}
{{- range $kind, $affinity := .Values.affinity -}}
{{- $_ := set $spread $kind $affinity -}}
{{- end -}}
{{- toYaml $spread -}}
{{- end -}}
