package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// program is the only one that the image holds.
const program = "payment-consumer"

func buildProgram(ctx context.Context, root, dir string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./cmd/"+program)
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", program, err, output)
	}
	return nil
}

// checkSettings asks the program, which is in dir, whether it accepts what each pod gives it.
func checkSettings(
	ctx context.Context, m manifests, secrets map[string][]string, dir string,
) (problems []string, err error) {
	for _, w := range m.workloads {
		for _, c := range w.pod.Spec.Containers {
			u := usage{dir: dir, workload: w, container: c}
			if u.files, err = os.MkdirTemp(dir, "files-"); err != nil {
				return nil, err
			}
			if err := u.mount(m, secrets); err != nil {
				return nil, err
			}
			problems = append(problems, u.check(ctx, m)...)
		}
	}
	return problems, nil
}

// usage is the program as one container runs it, with its files in a folder of ours.
type usage struct {
	dir, files string
	workload   workload
	container  corev1.Container
}

// mount makes the files that the container would find.
func (u usage) mount(m manifests, secrets map[string][]string) error {
	for _, mount := range u.container.VolumeMounts {
		folder := filepath.Join(u.files, mount.MountPath)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		for _, volume := range u.workload.pod.Spec.Volumes {
			if volume.Name != mount.Name {
				continue
			}
			for name, text := range contents(volume, m, secrets) {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contents is what a volume holds: settings as they are, and made-up secrets.
func contents(
	volume corev1.Volume, m manifests, secrets map[string][]string,
) map[string]string {
	if volume.ConfigMap != nil {
		return m.settings[volume.ConfigMap.Name]
	}
	made := map[string]string{}
	if volume.Secret != nil {
		for _, key := range secrets[volume.Secret.SecretName] {
			made[key] = "secret"
			if key == "cache-keys" {
				made[key] = "k1:" + strings.Repeat("5a", 32)
			}
		}
	}
	return made
}

// here is a path of the container in our folder, and any other text as it is.
func (u usage) here(text string) string {
	if strings.HasPrefix(text, "/") {
		return filepath.Join(u.files, text)
	}
	return text
}

func (u usage) run(ctx context.Context, environ, args []string) (string, error) {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, filepath.Join(u.dir, program), args...)
	command.Env = append([]string{}, environ...) // nothing of ours
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	return output.String(), err
}

func (u usage) check(ctx context.Context, m manifests) []string {
	var environ, args []string
	for _, variable := range u.container.Env {
		environ = append(environ, variable.Name+"="+u.here(variable.Value))
	}
	for _, arg := range u.container.Args {
		args = append(args, u.here(arg))
	}
	// With --help a program says how the command is used that it has found, and does nothing.
	path := program
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		path += " " + args[0]
	}
	if output, err := u.run(ctx, nil, append(slices.Clone(args), "--help")); err != nil ||
		!strings.Contains(output, "\nUsage:\n  "+path) {
		return u.wrong("args %q: %s does not know them", u.container.Args, program)
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	output, err := u.run(ctx, environ, append([]string{"config", "print", "-o", "json"}, args...))
	if err != nil {
		output = strings.ReplaceAll(strings.TrimSpace(output), u.files, "")
		return u.wrong("its settings are refused: %s", output)
	}
	settings, err := readSettings(output)
	if err != nil {
		return u.wrong("config print: %v", err)
	}
	if u.workload.server {
		return u.checkServer(m, settings)
	}
	return u.checkJob(m, settings)
}

func (u usage) wrong(format string, args ...any) []string {
	return []string{u.workload.name + ": " + fmt.Sprintf(format, args...)}
}

// readSettings reads the settings in force.
func readSettings(printed string) (map[string]string, error) {
	var list []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(printed), &list); err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, one := range list {
		settings[one.Key] = one.Value
	}
	return settings, nil
}

// checkServer holds the settings of a server against its pod and its network policy.
func (u usage) checkServer(m manifests, settings map[string]string) []string {
	host, port := split(settings["ops.address"])
	ip := net.ParseIP(host)
	grace, _ := strconv.Atoi(settings["shutdown.grace_seconds"])
	period := u.workload.pod.Spec.TerminationGracePeriodSeconds
	rules := []rule{
		{period != nil && *period > int64(grace),
			"terminationGracePeriodSeconds must be more than shutdown.grace_seconds"},
		{ip != nil && ip.IsUnspecified(), "ops.address: the probes do not reach " + host},
		{slices.ContainsFunc(u.container.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == opsPort && int(p.ContainerPort) == port
		}), fmt.Sprintf("port %s is not %d, that of ops.address", opsPort, port)},
		{admits(m, u.workload, port),
			fmt.Sprintf("its network policy keeps metrics from port %d", port)},
		{settings["mysql.password"] != "", "mysql.password has no file"},
		{settings["cache.keys"] != "", "cache.keys have no file"},
		{(settings["rocketmq.access_key"] == "") == (settings["rocketmq.secret_key"] == ""),
			"rocketmq.access_key and its secret go together"},
	}
	servers := []string{settings["mysql.address"], settings["redis.address"]}
	servers = append(servers, strings.Split(settings["rocketmq.name_servers"], ",")...)
	return broken(u.workload.name, append(rules, u.reaches(m, servers)...)...)
}

func (u usage) checkJob(m manifests, settings map[string]string) []string {
	return broken(u.workload.name, append(u.reaches(m, []string{settings["mysql.address"]}),
		rule{settings["migrate.password"] != "", "migrate.password has no file"},
		rule{settings["mysql.password"] == "", "a job has no use for the consumers' password"})...)
}

// reaches: the network policy opens the way to each server, and to the one that knows their names.
func (u usage) reaches(m manifests, servers []string) (rules []rule) {
	for _, server := range append(servers, "dns:53") {
		_, port := split(server)
		rules = append(rules, rule{opens(m, u.workload, port),
			"its network policy does not open the way to " + server})
	}
	return rules
}

// split divides an address. What is none has port 0, to which no way is open.
func split(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}
