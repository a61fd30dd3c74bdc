{{- define "clerksync.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "clerksync.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "clerksync.labels" -}}
{{ include "clerksync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "clerksync.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What cannot work is refused here, before anything is changed in the cluster. */ -}}
{{- define "clerksync.validate" -}}
{{- $sqlite := eq .Values.database.type "sqlite" }}
{{- if and $sqlite (or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled) }}
{{- fail "database.type is sqlite, which one process alone can serve: set replicaCount to 1 and autoscaling.enabled to false, or use postgres" }}
{{- end }}
{{- if and $sqlite (has "DATABASE_URL" .Values.secretKeys) }}
{{- fail "database.type is sqlite, and DATABASE_URL is in secretKeys: remove it, or set database.type to postgres" }}
{{- end }}
{{- if not (has "CLERKSYNC_OPERATOR_TOKEN" .Values.secretKeys) }}
{{- fail "secretKeys lacks CLERKSYNC_OPERATOR_TOKEN: the listener of operators can be reached from other pods, and the server does not start without a token" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host" }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if or (has $name $.Values.secretKeys) (has $name (list "CLERKSYNC_LISTEN" "CLERKSYNC_OPERATOR_LISTEN" "CLERKSYNC_OPERATOR_METRICS")) }}
{{- fail (printf "settings.%s is set by the chart or by secretKeys already" $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "clerksync.env" -}}
- {name: CLERKSYNC_LISTEN, value: ":8080"}
- {name: CLERKSYNC_OPERATOR_LISTEN, value: ":{{ .Values.operators.port }}"}
- {name: CLERKSYNC_OPERATOR_METRICS, value: {{ ternary "open" "token" .Values.operators.openMetrics }}}
{{- if eq .Values.database.type "sqlite" }}
- {name: DATABASE_URL, value: "sqlite:///data/clerksync.db"}
{{- else }}
- {name: DATABASE_URL, value: ""} # the image has a file of SQLite here
{{- if not (has "DATABASE_URL" .Values.secretKeys) }}
- {name: DATABASE_URL_FILE, value: /run/secrets/clerksync/DATABASE_URL}
{{- end }}
{{- end }}
{{- range .Values.secretKeys }}
- {name: {{ . }}_FILE, value: /run/secrets/clerksync/{{ . }}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "clerksync.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "clerksync.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "clerksync.secretVolume" -}}
- name: secrets
  secret: {secretName: {{ .Values.existingSecret | quote }}, defaultMode: 0440}
{{- end }}

{{- define "clerksync.pod" -}}
metadata:
  labels:
    {{- include "clerksync.labels" . | nindent 4 }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 40
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "clerksync.podSecurity" . | nindent 4 }}
  {{- if ne .Values.database.type "sqlite" }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "clerksync.selector" . | nindent 10 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: clerksync
      image: {{ include "clerksync.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        {{- include "clerksync.env" . | nindent 8 }}
      ports:
        - {name: http, containerPort: 8080}
        - {name: operators, containerPort: {{ .Values.operators.port }}}
      securityContext:
        {{- include "clerksync.containerSecurity" . | nindent 8 }}
      # The server listens once its database responds, for which it waits a minute.
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 3
        failureThreshold: 40
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
      lifecycle:
        preStop: # until no proxy sends requests here any more
          sleep: {seconds: 5}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: secrets, mountPath: /run/secrets/clerksync, readOnly: true}
        {{- if eq .Values.database.type "sqlite" }}
        - {name: data, mountPath: /data}
        {{- end }}
  volumes:
    {{- include "clerksync.secretVolume" . | nindent 4 }}
{{- end }}
