{{/*
What the schema cannot say. Every message names the value, what was expected,
and how to fix it.
*/}}
{{- define "drainer.validate" -}}
{{- include "drainer.validate.install" . -}}
{{- include "drainer.validate.image" . -}}
{{- include "drainer.validate.drain" . -}}
{{- include "drainer.validate.config" . -}}
{{- include "drainer.validate.leaderElection" . -}}
{{- include "drainer.validate.ports" . -}}
{{- include "drainer.validate.extraArgs" . -}}
{{- include "drainer.validate.pods" . -}}
{{- include "drainer.validate.budget" . -}}
{{- include "drainer.validate.monitoring" . -}}
{{- end -}}

{{- define "drainer.validate.install" -}}
{{- if not .Values.enabled -}}
{{- fail "enabled is false: expected true wherever the chart is rendered; it is for a parent chart, whose Chart.yaml must name it as the condition of this dependency, so write condition: drainer.enabled there, or set it to true" -}}
{{- end -}}
{{- if .Values.checkKubeVersion -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- /* Suffixes differ by distribution; the two numbers before them do not. */ -}}
{{- $numbers := regexFind "^v?[0-9]+\\.[0-9]+" $version -}}
{{- if not $numbers -}}
{{- fail (printf "the cluster says that its version is %q: expected one such as v1.34.1; if it is 1.34 or newer, set checkKubeVersion to false" $version) -}}
{{- end -}}
{{- if semverCompare "<1.34" $numbers -}}
{{- fail (printf "the cluster's version is %s: expected 1.34 or newer, on which drainer is tested; upgrade it, tell helm template the right one with --kube-version, or set checkKubeVersion to false to try at your own risk" $version) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "drainer.validate.image" -}}
{{- with .Values.image.digest -}}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" .) -}}
{{- fail (printf "image.digest is %q: expected sha256: and 64 hexadecimal digits; copy it from the registry, or leave it empty and set image.tag" .) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "(:[^/]*|@.*)$" .Values.image.repository -}}
{{- fail (printf "image.repository is %q: expected a name without tag or digest; move those to image.tag or image.digest" .Values.image.repository) -}}
{{- end -}}
{{- end -}}

{{- define "drainer.validate.drain" -}}
{{- $v := .Values -}}
{{- if not (regexMatch "^([1-9][0-9]*|([1-9][0-9]?|100)%)$" (toString $v.drain.maxDraining)) -}}
{{- fail (printf "drain.maxDraining is %q: expected a number of at least 1, or a share from 1%% to 100%%; write for example 3 or 10%%" (toString $v.drain.maxDraining)) -}}
{{- end -}}
{{- if not (regexMatch "^([1-9][0-9]*|([1-9][0-9]?|100)%)?$" (toString $v.drain.maxUnavailable)) -}}
{{- fail (printf "drain.maxUnavailable is %q: expected a number of at least 1, a share from 1%% to 100%%, or nothing; write for example 5 or 20%%" (toString $v.drain.maxUnavailable)) -}}
{{- end -}}
{{- if and (eq $v.drain.onTimeout "Delete") (not $v.drain.allowDelete) -}}
{{- fail "drain.onTimeout is \"Delete\" and drain.allowDelete is false: expected Wait, Stop or Release without it; set drain.allowDelete to true to let drainer delete pods past their budgets" -}}
{{- end -}}
{{- range $name, $duration := dict "drain.timeout" $v.drain.timeout "drain.yieldAfter" $v.drain.yieldAfter "drain.settle" $v.drain.settle -}}
{{- $_ := include "drainer.milliseconds" (dict "name" $name "value" $duration) -}}
{{- end -}}
{{- range $name, $duration := dict "drain.stuckAfter" $v.drain.stuckAfter "eviction.timeout" $v.eviction.timeout -}}
{{- if le (include "drainer.milliseconds" (dict "name" $name "value" $duration) | float64) 0.0 -}}
{{- fail (printf "%s is %q: expected a duration above 0; write for example 30s" $name $duration) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Drainer itself judges what the fields of config mean. Two places for one would hide one of them. */}}
{{- define "drainer.validate.config" -}}
{{- $values := include "drainer.config.values" . | fromYaml -}}
{{- $flags := dict "clientConnection" "kubeAPI" "leaderElection" "leaderElection" "logging" "logging" "metricsBindAddress" "metrics.port" "metricsTLS" "metrics.tls" "healthBindAddress" "health.port" "pprofBindAddress" "pprof" -}}
{{- if .Values.drain.nodeSelector -}}
{{- $_ := set $flags "nodeSelector" "drain.nodeSelector" -}}
{{- end -}}
{{- range $field, $value := .Values.config -}}
{{- if hasKey $flags $field -}}
{{- fail (printf "config has the field %q: expected only fields that no other value sets; set %s instead" $field (get $flags $field)) -}}
{{- end -}}
{{- if hasKey $values $field -}}
{{- fail (printf "config has the field %q: expected only fields that no other value sets; set the value under drain or eviction instead (see the table of values)" $field) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "drainer.validate.leaderElection" -}}
{{- $e := .Values.leaderElection -}}
{{- if and (gt (int64 .Values.replicaCount) 1) (not $e.enabled) -}}
{{- fail (printf "replicaCount is %d and leaderElection.enabled is false: expected one replica, or a leader; two processes must not drain at once, so set replicaCount to 1 or leaderElection.enabled to true" (int64 .Values.replicaCount)) -}}
{{- end -}}
{{- if $e.enabled -}}
{{- $lease := include "drainer.milliseconds" (dict "name" "leaderElection.leaseDuration" "value" $e.leaseDuration) | float64 -}}
{{- $renew := include "drainer.milliseconds" (dict "name" "leaderElection.renewDeadline" "value" $e.renewDeadline) | float64 -}}
{{- $retry := include "drainer.milliseconds" (dict "name" "leaderElection.retryPeriod" "value" $e.retryPeriod) | float64 -}}
{{- if le $retry 0.0 -}}
{{- fail (printf "leaderElection.retryPeriod is %q: expected a duration above 0; write for example 2s" $e.retryPeriod) -}}
{{- end -}}
{{- if le $lease $renew -}}
{{- fail (printf "leaderElection.leaseDuration is %q: expected more than leaderElection.renewDeadline (%s); raise the one or lower the other" $e.leaseDuration $e.renewDeadline) -}}
{{- end -}}
{{- if le $renew (mulf $retry 1.2) -}}
{{- fail (printf "leaderElection.renewDeadline is %q: expected more than 1.2 times leaderElection.retryPeriod (%s); raise the one or lower the other" $e.renewDeadline $e.retryPeriod) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The length of a Go duration; fails if the value is none, or below 0. */}}
{{- define "drainer.milliseconds" -}}
{{- if not (regexMatch "^(0|([0-9]+(\\.[0-9]+)?(h|m|s|ms))+)$" .value) -}}
{{- fail (printf "%s is %q: expected a Go duration; write for example 90s, 10m or 1h30m" .name .value) -}}
{{- end -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9]+(\\.[0-9]+)?(ms|h|m|s)" .value -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get (dict "h" 3600000.0 "m" 60000.0 "s" 1000.0 "ms" 1.0) $unit)) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{- define "drainer.validate.ports" -}}
{{- $v := .Values -}}
{{- if eq (int64 $v.metrics.port) (int64 $v.health.port) -}}
{{- fail (printf "metrics.port and health.port are both %d: expected different ports; change one" (int64 $v.metrics.port)) -}}
{{- end -}}
{{- if and $v.pprof.enabled (has (int64 $v.pprof.port) (list (int64 $v.metrics.port) (int64 $v.health.port))) -}}
{{- fail (printf "pprof.port is %d: expected another port than metrics.port and health.port; change it" (int64 $v.pprof.port)) -}}
{{- end -}}
{{- end -}}

{{/*
A flag given twice would silently win over its value, also where roles depend on
it; drainer refuses one whose field the configuration file sets.
*/}}
{{- define "drainer.validate.extraArgs" -}}
{{- $owned := dict "-v" "logging.verbosity" "--v" "logging.verbosity" "--node-selector" "drain.nodeSelector" "--max-unavailable" "drain.maxUnavailable" "--pprof-bind-address" "pprof.port" "--leader-elect-resource-namespace" "leaderElection.resourceNamespace" -}}
{{- range include "drainer.args" . | fromYamlArray -}}
{{- $flag := regexFind "^[^=]+" . -}}
{{- if not (hasKey $owned $flag) -}}
{{- $_ := set $owned $flag "a value of its own (see the table of values)" -}}
{{- end -}}
{{- end -}}
{{- range list "max-draining" "allow-last-node" "bare-pods" "empty-dir" "drain-timeout" "on-timeout" "allow-delete" "never-delete-namespaces" "stuck-after" "settle" "eviction-qps" "eviction-burst" "eviction-workers" "eviction-timeout" "metrics-tls-cert-file" "metrics-tls-private-key-file" "metrics-authorize" -}}
{{- $_ := set $owned (printf "--%s" .) "a value of its own (see the table of values)" -}}
{{- end -}}
{{- range $arg := .Values.extraArgs -}}
{{- $flag := regexFind "^[^=]*" $arg -}}
{{- if hasKey $owned $flag -}}
{{- fail (printf "extraArgs has %q: expected only flags without a value of their own; set %s instead" $arg (get $owned $flag)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "drainer.validate.pods" -}}
{{- range .Values.tolerations -}}
{{- $key := default "" .key -}}
{{- $effect := default "NoSchedule" .effect -}}
{{- if and (eq $effect "NoSchedule") (has $key (list "" "node.kubernetes.io/unschedulable")) -}}
{{- fail (printf "tolerations has %s, which covers node.kubernetes.io/unschedulable: expected tolerations of named taints; drainer's pod would come back to the node that is being drained, so name the keys that you mean" (toJson .)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.dnsPolicy "None") (not .Values.dnsConfig.nameservers) -}}
{{- fail "dnsPolicy is \"None\" and dnsConfig.nameservers is empty: expected at least one server; no pod would be admitted, so set dnsConfig.nameservers or another policy" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name is empty and serviceAccount.create is false: expected the name of an account that exists; set serviceAccount.name, or let the chart make one" -}}
{{- end -}}
{{- end -}}

{{- define "drainer.validate.budget" -}}
{{- $b := .Values.podDisruptionBudget -}}
{{- $max := toString $b.maxUnavailable -}}
{{- $min := toString $b.minAvailable -}}
{{- $replicas := int64 .Values.replicaCount -}}
{{- if and $max $min -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %q and podDisruptionBudget.minAvailable is %q: expected one of them; leave the other empty" $max $min) -}}
{{- end -}}
{{- range $name, $value := dict "podDisruptionBudget.maxUnavailable" $max "podDisruptionBudget.minAvailable" $min -}}
{{- if not (regexMatch "^([0-9]+%?)?$" $value) -}}
{{- fail (printf "%s is %q: expected a number or a share; write for example 1 or 50%%" $name $value) -}}
{{- end -}}
{{- end -}}
{{- if and $b.enabled (gt $replicas 1) -}}
{{- if has $max (list "0" "0%") -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %q: expected at least 1; no node with a pod of drainer could ever be drained, so raise it or set podDisruptionBudget.enabled to false" $max) -}}
{{- end -}}
{{- /* A share is rounded up. */}}
{{- $least := int64 0 -}}
{{- if regexMatch "^[0-9]+$" $min -}}
{{- $least = int64 $min -}}
{{- else if $min -}}
{{- $least = divf (mulf (trimSuffix "%" $min | float64) (float64 $replicas)) 100.0 | ceil | int64 -}}
{{- end -}}
{{- if ge $least $replicas -}}
{{- fail (printf "podDisruptionBudget.minAvailable is %q: expected less than replicaCount (%d); no node with a pod of drainer could ever be drained, so lower it or set podDisruptionBudget.enabled to false" $min $replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "drainer.validate.monitoring" -}}
{{- $m := .Values.metrics -}}
{{- if and $m.serviceMonitor.enabled $m.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true: expected one of them; every sample would be stored twice, so set one to false" -}}
{{- end -}}
{{- if and $m.serviceMonitor.enabled (not .Values.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled is true and service.enabled is false: expected a Service to monitor; set service.enabled to true, or use metrics.podMonitor" -}}
{{- end -}}
{{- if and $m.tls.authorize (not $m.tls.secretName) -}}
{{- fail "metrics.tls.authorize is true and metrics.tls.secretName is empty: expected a certificate, because tokens are not sent in the clear; set metrics.tls.secretName to the name of a TLS Secret" -}}
{{- end -}}
{{- if $m.prometheusRule.enabled -}}
{{- $known := include "drainer.alerts" . | fromYamlArray -}}
{{- $named := dict "disabled" $m.prometheusRule.disabled "alerts" (keys $m.prometheusRule.alerts | sortAlpha) -}}
{{- range $value, $names := $named -}}
{{- range $names -}}
{{- if not (has . $known) -}}
{{- fail (printf "metrics.prometheusRule.%s has %q: expected the name of an alert of this chart; take one of %s" $value . (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $change := $m.prometheusRule.alerts -}}
{{- if and (hasKey $change "for") (not (and $change.for (regexMatch "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$" $change.for))) -}}
{{- fail (printf "metrics.prometheusRule.alerts.%s.for is %q: expected a duration of Prometheus; write for example 15m or 1h30m" $name $change.for) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.dashboards.grafanaOperator.enabled (not .Values.dashboards.grafanaOperator.matchLabels) -}}
{{- fail "dashboards.grafanaOperator.matchLabels is empty: expected the labels of the Grafanas that get the dashboards; set for example dashboards=grafana" -}}
{{- end -}}
{{- end -}}

{{/* The names of the chart's alerts. */}}
{{- define "drainer.alerts" -}}
{{- $names := list -}}
{{- range $path, $_ := .Files.Glob "rules/*.yaml" -}}
{{- range ($.Files.Get $path | fromYaml).groups -}}
{{- range .rules -}}
{{- with .alert }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toYaml -}}
{{- end -}}
