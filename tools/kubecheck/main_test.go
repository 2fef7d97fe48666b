package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// changed copies the manifests, with a piece of one file replaced.
func changed(t *testing.T, file, old, replacement string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, "deploy", "kubernetes"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q to break", file, old)
	}
	text = []byte(strings.Replace(string(text), old, replacement, 1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestCheck breaks one thing at a time in a copy.
func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := buildProgram(t.Context(), root, dir); err != nil {
		t.Fatal(err)
	}
	const (
		deployment = "base/deployment.yaml"
		migrate    = "base/migrate.yaml"
		network    = "base/network-policy.yaml"
		settings   = "base/settings.yaml"
		overlay    = "overlays/example/"
	)
	for _, test := range []struct{ name, file, old, replacement, want string }{
		{"Intact", deployment, "replicas: 2", "replicas: 3", ""},
		{"UnknownField", deployment, "readinessProbe:", "readynessProbe:",
			`unknown field "spec.template.spec.containers[0].readynessProbe"`},
		{"WrongType", deployment, "replicas: 2", "replicas: two", "cannot unmarshal"},
		{"WrongPatch", overlay + "broker-user.yaml", "env:", "enw:", `unknown field`},
		{"UnknownKind", "base/service-account.yaml", "kind: ServiceAccount", "kind: ServiceAcount",
			"no kind"},
		{"UnknownKustomization", "base/kustomization.yaml", "labels:", "lables:", "lables"},
		{"NoReadiness", deployment, "path: /readyz", "path: /healthz",
			"readinessProbe does not ask /readyz"},
		{"NoLiveness", deployment, "livenessProbe:", "startupProbe:",
			"livenessProbe does not ask /healthz"},
		{"RestartedInAnOutage", deployment, "path: /healthz", "path: /readyz",
			"livenessProbe does not ask /healthz"},
		{"OtherUser", deployment, "runAsUser: 65532", "runAsUser: 1000", "runAsUser is not 65532"},
		{"Root", migrate, "runAsUser: 65532", "runAsUser: 0", "payment-migrate: not restricted"},
		{"UnreadableSecrets", migrate, "fsGroup: 65532", "fsGroup: 0", "fsGroup is not 65532"},
		{"Writable", deployment, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false",
			"readOnlyRootFilesystem"},
		{"Capabilities", deployment, "drop: [ALL]", "drop: [CHOWN]", "not restricted"},
		{"NoSeccomp", deployment, "RuntimeDefault", "Unconfined", "not restricted: seccompProfile"},
		{"Token", deployment, "automountServiceAccountToken: false",
			"automountServiceAccountToken: true", "automountServiceAccountToken is not false"},
		{"NoMemoryLimit", deployment, "            limits: {memory: 512Mi}\n", "", "limits.memory"},
		{"NoPort", deployment, "{name: ops, containerPort: 9101}", "{name: ops, containerPort: 9102}",
			"port ops is not 9101"},
		{"Loopback", settings, "address: 0.0.0.0:9101", "address: 127.0.0.1:9101",
			"the probes do not reach 127.0.0.1"},
		{"KilledTooSoon", settings, "grace_seconds: 30", "grace_seconds: 40",
			"terminationGracePeriodSeconds must be more"},
		{"UnknownSetting", settings, "  name_servers:", "  nameservers:", "rocketmq.nameservers"},
		{"RefusedSetting", overlay + "settings.yaml", "tls: true", "tls: maybe",
			"example: payment-consumer: its settings are refused"},
		{"UnknownVariable", migrate, "PAYMENT_MIGRATE_PASSWORD_FILE", "PAYMENT_MIGRATE_PASWORD_FILE",
			"unknown variable"},
		{"UnknownCommand", migrate, "args: [migrate,", "args: [migrat,", "does not know them"},
		{"MissingFile", deployment, "value: /run/secrets/payment/mysql-app",
			"value: /run/secrets/payment/mysql-migrate", "mysql-migrate: no such file"},
		{"MissingSettings", deployment, "args: [--config, /etc/payment/payment-consumer.yaml]",
			"args: [--config, /etc/payment/consumer.yaml]", "/etc/payment/consumer.yaml does not exist"},
		{"SecretForAll", deployment, "defaultMode: 0440", "defaultMode: 0444",
			"secret payment-consumer may be read by everybody"},
		{"SecretInVariable", deployment, "name: PAYMENT_REDIS_PASSWORD_FILE",
			"name: PAYMENT_REDIS_PASSWORD", "PAYMENT_REDIS_PASSWORD holds a secret"},
		{"SecretOfNobody", deployment, "secretName: payment-consumer", "secretName: payment-app",
			"secret payment-app is not in secrets.template.yaml"},
		{"SecretWritten", "secrets.template.yaml", `redis: ""`, `redis: "hunter2"`,
			"redis holds a value"},
		{"NobodyIsSpared", "base/disruption-budget.yaml", "name: payment-consumer}",
			"name: payment-consumers}", "0 disruption budgets"},
		{"NotSpread", deployment, "          labelSelector:\n            matchLabels: " +
			"{app.kubernetes.io/name: payment-consumer}", "          labelSelector:\n" +
			"            matchLabels: {app: payment}", "topologySpreadConstraints do not select"},
		{"NoPolicy", network, "app.kubernetes.io/name: payment-migrate",
			"app.kubernetes.io/name: payment-migration", "0 network policies"},
		{"OpenEgress", network, "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]",
			"leaves egress open"},
		{"EveryPort", network, "      ports:\n        - {protocol: TCP, port: 3306}\n", "",
			"for every port"},
		{"EveryAddress", network, "    - from: # Prometheus\n        - namespaceSelector:\n" +
			"            matchLabels: {kubernetes.io/metadata.name: monitoring}\n      ports:",
			"    - ports:", "for every address"},
		{"NoWayToRedis", network, "port: 6379", "port: 6380", "does not open the way to redis:6379"},
		{"NoMetrics", network, "port: 9101", "port: 9102", "keeps metrics from port 9101"},
		{"FloatingImage", overlay + "kustomization.yaml", "digest: sha256:0", "newTag: sha256-0",
			"no whole version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			problems, err := check(t.Context(), changed(t, test.file, test.old, test.replacement), dir)
			got := strings.Join(problems, "\n")
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
