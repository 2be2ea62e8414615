{{- define "lakerun.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "lakerun.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "lakerun.selector" . }}
{{- end }}

{{- define "lakerun.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lakerun.check" -}}
{{- if and (gt (int .Values.nodes) 1) (not .Values.shared) }}{{ fail "nodes: more than one need a database that they share: shared, and existingSecret with LAKERUN_STORE and LAKERUN_OBJECTS" }}{{ end }}
{{- if and (gt (int .Values.compute) 0) (not .Values.shared) }}{{ fail "compute: nodes that work for others need a database that all share: shared, and existingSecret with LAKERUN_STORE and LAKERUN_OBJECTS" }}{{ end }}
{{- if and .Values.shared (not .Values.existingSecret) }}{{ fail "shared: existingSecret must name the Secret with LAKERUN_STORE and LAKERUN_OBJECTS" }}{{ end }}
{{- end }}

{{/* A pod's specification: `top`, and `roles` of a node that has not all. */}}
{{- define "lakerun.pod" -}}
{{- $top := .top -}}
{{- with $top.Values.imagePullSecrets -}}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{ end -}}
# SIGTERM drains: requests under way get ten seconds.
terminationGracePeriodSeconds: 60
automountServiceAccountToken: false
# A Service of the name `lakerun` would give every pod variables that the server takes for settings.
enableServiceLinks: false
securityContext:
  fsGroup: 1000
containers:
  - name: lakerun
    image: "{{ $top.Values.image.repository }}:{{ $top.Values.image.tag | default $top.Chart.AppVersion }}"
    imagePullPolicy: {{ $top.Values.image.pullPolicy }}
    args: ["up", "--listen", "0.0.0.0:4566", "--data", "/var/lib/lakerun", "--config", "/etc/lakerun/lakerun.toml"]
    env:
      - name: POD
        valueFrom: { fieldRef: { fieldPath: metadata.name } }
      - name: NAMESPACE
        valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
      {{- if $top.Values.shared }}
      - name: LAKERUN_CLUSTER_ADVERTISE
        value: "$(POD).{{ include "lakerun.name" $top }}-nodes.$(NAMESPACE).svc:4566"
      {{- end }}
      {{- with .roles }}
      - name: LAKERUN_ROLES
        value: {{ toJson . | quote }}
      {{- end }}
    {{- with $top.Values.existingSecret }}
    envFrom:
      - secretRef: { name: {{ . | quote }} }
    {{- end }}
    ports:
      - { name: http, containerPort: 4566 }
    livenessProbe:
      httpGet: { path: /healthz, port: http }
      periodSeconds: 10
      failureThreshold: 6
    {{- if not .roles }}
    readinessProbe:
      httpGet: { path: /readyz, port: http }
      periodSeconds: 2
    {{- end }}
    {{- with $top.Values.securityContext }}
    securityContext: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $top.Values.resources }}
    resources: {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
      - { name: data, mountPath: /var/lib/lakerun }
      - { name: cache, mountPath: /var/cache/lakerun }
      - { name: settings, mountPath: /etc/lakerun, readOnly: true }
volumes:
  - name: cache
    emptyDir: {}
  - name: settings
    configMap: { name: {{ include "lakerun.name" $top }} }
{{- with $top.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $top.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $top.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lakerun.claim" -}}
- metadata:
    name: data
  spec:
    accessModes: ["ReadWriteOnce"]
    {{- with .Values.storage.className }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests: { storage: {{ .Values.storage.size | quote }} }
{{- end }}
