package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// broken loads the project's own compose file with a piece of it replaced.
func broken(t *testing.T, old, replacement string) (*types.Project, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("docker-compose.yml has no %q to break", old)
	}
	file := filepath.Join(t.TempDir(), "docker-compose.yml")
	changed := strings.Replace(string(text), old, replacement, 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return load(t.Context(), absolute, file)
}

func TestLoad_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, old, replacement, want string }{
		{"UnknownKey", "stop_grace_period: 40s", "stop_grace: 40s",
			"services.payment-consumer.stop_grace"},
		{"WrongType", "{replicas: 2}", "{replicas: two}", "replicas"},
		{"UnknownService", "redis: {condition: service_healthy}",
			"radis: {condition: service_healthy}", "radis"},
		{"UnknownVolume", "- broker-data:/var", "- broker-dada:/var", "broker-dada"},
		{"MissingVariable", "user: redis", "user: ${NOBODY:?is not set}", "NOBODY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := broken(t, test.old, test.replacement); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// expect wants a problem with a text among problems, or none at all.
func expect(t *testing.T, problems []string, want string) {
	t.Helper()
	got := strings.Join(problems, "\n")
	if !strings.Contains(got, want) || want == "" && got != "" {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckServices(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, replacement, want string }{
		{"Intact", "name: payment", "name: payment", ""},
		{"Latest", "redis:7.4.11-alpine # for", "redis:latest # for", `prepare: image "redis:latest"`},
		{"NoTag", "mysql:8.4.10", "mysql", `mysql: image "mysql"`},
		{"Floating", "mysql:8.4.10", "mysql:8.4", `mysql: image "mysql:8.4"`},
		{"BuiltUnderAnyName", "order-producer:local", "order-producer:1.0.0", "ends in :local"},
		{"BuiltTwice", "deploy: {replicas: 2}", "deploy: {replicas: 2}\n    build: " +
			"{context: ., target: payment-consumer}", "must be built by one service"},
		{"NotBuilt", "    build: {context: ., target: payment-consumer}\n", "",
			"payment-consumer must be built by one service, not by []"},
		{"AskedFor", "pull_policy: never", "pull_policy: always", "pull_policy must be never"},
		{"NoHealthcheck", "healthcheck:\n      test: [CMD, promtool", "x-healthcheck:\n" +
			"      test: [CMD, promtool", "prometheus: a server needs a healthcheck"},
		{"HealthcheckNone", "[CMD, wget,", "[NONE, wget,",
			"grafana: a server needs a healthcheck"},
		{"NoRestartPolicy", "  restart: unless-stopped\n", "", "redis: no restart policy"},
		{"NoCondition", "      redis: {condition: service_healthy}",
			"      redis: {condition: service_started}",
			"depends on redis with condition service_started, not service_healthy"},
		{"JobAsServer", "{condition: service_completed_successfully}\n      namesrv",
			"{condition: service_healthy}\n      namesrv",
			"depends on prepare with condition service_healthy"},
		{"Writable", "read_only: true\n  cap", "read_only: false\n  cap", "read_only is not set"},
		{"Capabilities", "cap_drop: [ALL]", "cap_drop: [CHOWN]", "cap_drop does not name ALL"},
		{"Privileges", "no-new-privileges:true", "label:disable", "no-new-privileges"},
		{"NoMemoryLimit", "  mem_limit: 512m\n", "", "grafana: mem_limit is not set"},
		{"NoProcessLimit", "  pids_limit: 1024\n", "", "dashboard: pids_limit is not set"},
		{"DashboardForAll", "127.0.0.1:8082:8082", "8082:8082",
			`dashboard: port 8082 is published on "all addresses"`},
		{"PrometheusForAll", "127.0.0.1:9090:9090", "9090:9090",
			`prometheus: port 9090 is published on "all addresses"`},
		{"DashboardUnwatched", `test: [CMD, bash, -c, "</dev/tcp/127.0.0.1/8082"]`, "disable: true",
			"dashboard: a server needs a healthcheck"},
		{"GrafanaUnwatched", "test: [CMD, wget", "test: [NONE, wget",
			"grafana: a server needs a healthcheck"},
		{"OpenPort", "127.0.0.1:9101-9102:9101", "9101-9102:9101",
			`port 9101 is published on "all addresses"`},
		{"MissingFile", "./configs/broker.conf", "./configs/broken.conf",
			"broken.conf is not a file"},
		{"MadeByDocker", "bind: {create_host_path: false}", "bind: {create_host_path: true}",
			"lacks bind"},
		{"SecretInVariable", "PAYMENT_REDIS_PASSWORD_FILE: /run/secrets/redis",
			"PAYMENT_REDIS_PASSWORD: hunter2", "PAYMENT_REDIS_PASSWORD holds a secret"},
		{"UnknownStage", "target: order-producer", "target: order-product",
			`the Dockerfile has no stage "order-product"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			project, err := broken(t, test.old, test.replacement)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, append(checkServices(project),
				checkTargets(project, string(dockerfile))...), test.want)
		})
	}
}

func TestCheckPrograms(t *testing.T) {
	t.Parallel()
	programs := t.TempDir()
	if err := buildPrograms(t.Context(), root, programs); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, replacement, want string }{
		{"Intact", "name: payment", "name: payment", ""},
		{"SecretOfAnother", "/run/secrets/mysql-app", "/run/secrets/mysql-root",
			"/run/secrets/mysql-root is not among the secrets"},
		{"UnknownVariable", "PAYMENT_REDIS_ADDRESS", "PAYMENT_REDIS_ADRESS",
			`unknown variable "PAYMENT_REDIS_ADRESS"`},
		{"EverybodysRedis", "PAYMENT_REDIS_USER: payment", "PAYMENT_REDIS_USER: default",
			"PAYMENT_REDIS_USER is not the user that prepare.sh makes"},
		{"WrongValue", "redis:6379", "redis", "its settings are refused"},
		{"UnknownCommand", "command: [migrate]", "command: [migrat]",
			`command ["migrat"]: payment-consumer does not know it`},
		{"UnknownFlag", "--opening, \"0\"", "--open, \"0\"", "payment-consumer does not know it"},
		{"ShellInDistroless", "[CMD, /usr/local/bin/payment-consumer, healthy]",
			"[CMD-SHELL, payment-consumer healthy]", "the image holds no other program"},
		{"UnknownHealthCommand", "payment-consumer, healthy]", "payment-consumer, heathy]",
			`healthcheck ["heathy"]`},
		{"KilledTooSoon", "stop_grace_period: 40s", "stop_grace_period: 30s",
			"stop_grace_period must be more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			project, err := broken(t, test.old, test.replacement)
			if err != nil {
				t.Fatal(err)
			}
			problems, err := checkPrograms(t.Context(), root, programs, project)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, problems, test.want)
		})
	}
}

// What is not needed to pay is started only when it is asked for.
func TestLoad_Profiles(t *testing.T) {
	t.Parallel()
	project, err := broken(t, "name: payment", "name: payment")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"prometheus": "observe", "grafana": "observe",
		"dashboard": "tools", "order-producer": "tools", "archive": "tools"}
	for name, service := range project.Services {
		if got := strings.Join(service.Profiles, " "); got != want[name] {
			t.Errorf("%s: profile %q, want %q", name, got, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
}

func TestCheckImages(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, test := range []struct {
		name, dockerfile string
		want             int
	}{
		{"Version", "FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build\n", 0},
		{"Digest", "FROM gcr.io/static:nonroot" + digest + " AS base\nFROM base AS a\n", 0},
		{"Floating", "FROM golang:1.26 AS build\n", 1},
		{"MovingTag", "FROM gcr.io/static:nonroot\nFROM scratch AS a\n", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := checkImages(test.dockerfile); len(got) != test.want {
				t.Errorf("got %q, want %d problems", got, test.want)
			}
		})
	}
}
