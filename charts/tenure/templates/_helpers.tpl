{{/* The first part of all names. Names of Services have no dots and begin with a letter, those of releases may not. */}}
{{- define "tenure.fullname" -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- $full = $full | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]" $full) -}}
{{- fail (printf "fullnameOverride: set it, because names that begin with '%s' are not allowed for Services" $full) -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{/* Labels by which a component's pods are found. Takes (list . "component"). */}}
{{- define "tenure.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: tenure
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels. Takes (list . "component"). */}}
{{- define "tenure.labels" -}}
{{- $root := index . 0 -}}
{{ include "tenure.selector" . }}
app.kubernetes.io/part-of: tenure
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tenure.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository: name your image of Tenure, none is published yet" $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Whether the chart brings an etcd of its own; empty = no. */}}
{{- define "tenure.ownEtcd" -}}
{{- if not .Values.store.etcd.external.endpoints }}yes{{ end -}}
{{- end -}}

{{/* Whether the gateway's certificate is the chart's to make; empty = no. */}}
{{- define "tenure.gatewayCertificate" -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.tlsSecret) }}yes{{ end -}}
{{- end -}}

{{/* Whether there is anything for the upkeep to do; empty = no. */}}
{{- define "tenure.upkeep" -}}
{{- if or (include "tenure.ownEtcd" .) (include "tenure.gatewayCertificate" .) .Values.store.namespaces .Values.store.byLabel }}yes{{ end -}}
{{- end -}}

{{/* Where the store is, as the engine's setting takes it. */}}
{{- define "tenure.store" -}}
{{- $etcd := .Values.store.etcd -}}
{{- $name := printf "%s-etcd" (include "tenure.fullname" .) -}}
{{- $endpoints := $etcd.external.endpoints -}}
{{- if not $endpoints -}}
{{- /* One member: its Service, whose address stays when the pod goes. Three: each, so that one that is away is passed over. */ -}}
{{- if eq (int $etcd.members) 1 -}}
{{- $endpoints = list (printf "%s.%s.svc:2379" $name .Release.Namespace) -}}
{{- else -}}
{{- range $number := until (int $etcd.members) -}}
{{- $endpoints = append $endpoints (printf "%s-%d.%s-peers.%s.svc:2379" $name $number $name $.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- printf "etcd://%s" (join "," $endpoints) -}}
{{- end -}}

{{/* A quantity of Kubernetes as a number, because the API server writes 16384Mi as 16Gi. */}}
{{- define "tenure.bytes" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $factors := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- if or (hasKey $factors $unit) (not $unit) -}}
{{- mulf (trimSuffix $unit $text | float64) (get $factors $unit | default 1) | int64 -}}
{{- else -}}
{{- $text -}}
{{- end -}}
{{- end -}}

{{/* Ends an upgrade before anything is changed; why. */}}
{{- define "tenure.notByUpgrade" -}}
{{- fail (printf "%s (docs/how-to/production.md, 'What an upgrade does not change')" .) -}}
{{- end -}}

{{/* Refuses what would leave the workflows of this release behind, in a store that nobody asks any more. */}}
{{- define "tenure.sameStore" -}}
{{- $full := include "tenure.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $etcd := printf "%s-etcd" $full -}}
{{- range (lookup "apps/v1" "Deployment" $namespace "").items -}}
{{- $labels := default dict .metadata.labels -}}
{{- $own := and (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) (eq (get $labels "app.kubernetes.io/name") "tenure") -}}
{{- if and $own (eq (get $labels "app.kubernetes.io/component") "injector") -}}
{{- $before := trimSuffix "-injector" .metadata.name -}}
{{- if ne $before $full -}}
{{- include "tenure.notByUpgrade" (printf "fullnameOverride, nameOverride: this release's objects are named '%s...', and '%s...' is asked for; an upgrade does not rename them, because their etcd would be a new and empty one" $before $full) -}}
{{- end -}}
{{- range (index .spec.template.spec.containers 0).env -}}
{{- if and (eq .name "TENURE_SIDECAR_STORE") (include "tenure.ownEtcd" $) (not (regexMatch (printf "^etcd://%s(-0)?[.]" $etcd) .value)) -}}
{{- include "tenure.notByUpgrade" (printf "store.etcd.external.endpoints: the workflows are in %s, and an etcd of the chart's own is asked for, which would be empty" .value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (not (include "tenure.ownEtcd" .)) (lookup "apps/v1" "StatefulSet" $namespace $etcd) -}}
{{- include "tenure.notByUpgrade" (printf "store.etcd.external.endpoints: the workflows are in this release's own etcd, StatefulSet '%s', and another one is asked for" $etcd) -}}
{{- end -}}
{{- end -}}

{{/* Secret with which the gateway may use every namespace's keys. */}}
{{- define "tenure.gatewayStoreSecret" -}}
{{- if include "tenure.ownEtcd" . -}}
{{- printf "%s-etcd-gateway" (include "tenure.fullname" .) -}}
{{- else -}}
{{- .Values.store.etcd.external.secret -}}
{{- end -}}
{{- end -}}

{{/* Secret with the gateway's certificate and its authority. */}}
{{- define "tenure.gatewayCertificateSecret" -}}
{{- default (printf "%s-gateway-certificate" (include "tenure.fullname" .)) .Values.gateway.tlsSecret -}}
{{- end -}}

{{/* The template of the upkeep's pods, of the Job and of the CronJob. */}}
{{- define "tenure.upkeepPod" -}}
{{- $name := printf "%s-upkeep" (include "tenure.fullname" .) -}}
metadata:
  {{- include "tenure.podMarks" (list . "upkeep" .Values.upkeep) | nindent 2 }}
spec:
  serviceAccountName: {{ $name }}
  enableServiceLinks: false
  restartPolicy: OnFailure
  securityContext:
    {{- include "tenure.podSecurity" . | nindent 4 }}
  {{- include "tenure.placement" (list . "upkeep" .Values.upkeep) | nindent 2 }}
  containers:
    - name: upkeep
      image: {{ include "tenure.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - upkeep
        - --full-name={{ include "tenure.fullname" . }}
        - --etcd-members={{ ternary .Values.store.etcd.members 0 (eq (include "tenure.ownEtcd" .) "yes") }}
        - --etcd-quota={{ .Values.store.etcd.quotaBytes | int64 }}
        {{- if .Values.store.byLabel }}
        - --app-users=false
        {{- else if .Values.store.namespaces }}
        - --app-namespaces={{ join "," .Values.store.namespaces }}
        - --app-secret={{ .Values.store.appSecret }}
        - --peers-secret={{ .Values.store.peersSecret }}
        {{- end }}
        - --gateway={{ eq (include "tenure.gatewayCertificate" .) "yes" }}
      env:
        - name: TENURE_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
        - name: TENURE_LOG_LEVEL
          value: {{ .Values.log.level }}
        - name: TENURE_LOG_FORMAT
          value: {{ .Values.log.format }}
      securityContext:
        {{- include "tenure.containerSecurity" . | nindent 8 }}
      resources:
        {{- toYaml .Values.upkeep.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end -}}

{{/* Pod Security Standard "restricted": of the pod ... */}}
{{- define "tenure.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* ... and of each container. */}}
{{- define "tenure.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end -}}

{{/* Labels and annotations of a component's pods. Takes (list . "component" values). */}}
{{- define "tenure.podMarks" -}}
{{- $values := index . 2 -}}
labels:
  {{- mergeOverwrite (include "tenure.labels" . | fromYaml) $values.podLabels | toYaml | nindent 2 }}
{{- with $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods of a component run. Takes (list . "component" values). */}}
{{- define "tenure.placement" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $values := index . 2 -}}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if $values.affinity }}
  {{- toYaml $values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "tenure.selector" (list $root $component) | nindent 14 }}
  {{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels:
        {{- include "tenure.selector" (list $root $component) | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Probes of our own processes, on the port "health". */}}
{{- define "tenure.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 5
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 2 # until a new pod counts: an installation waits for it
  timeoutSeconds: 3
  failureThreshold: 5
{{- end -}}
