package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

const (
	// secretFolder is where every service finds its secrets.
	secretFolder = "/run/secrets/"
	// programFolder is where the image holds the programs.
	programFolder = "/usr/local/bin/"
)

// programs are ours, each a stage of the Dockerfile.
func programs() []string { return []string{"payment-consumer", "order-producer"} }

// buildPrograms builds our programs into a folder.
func buildPrograms(ctx context.Context, root, dir string) error {
	for _, program := range programs() {
		build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./cmd/"+program)
		build.Dir = root
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, output)
		}
	}
	return nil
}

// checkPrograms asks our programs, which are in dir, whether they accept what the services of the
// file give them. The error is for a check that could not be made.
func checkPrograms(
	ctx context.Context, root, dir string, project *types.Project,
) (problems []string, err error) {
	script, err := os.ReadFile(filepath.Join(root, "deploy", "prepare.sh"))
	if err != nil {
		return nil, err
	}
	given := givenSecrets(string(script))
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		found := append(checkSecretFiles(service, given),
			checkRedisUser(service, string(script))...)
		if program := programOf(service); program != "" {
			use := usage{dir: dir, program: program, service: service}
			more, err := use.check(ctx)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
		for _, problem := range found {
			problems = append(problems, name+": "+problem)
		}
	}
	return problems, nil
}

// programOf is which of our programs a service runs, by its image.
func programOf(service types.ServiceConfig) string {
	program, ours := strings.CutSuffix(service.Image, ":local")
	if !ours || !slices.Contains(programs(), program) {
		return ""
	}
	return program
}

// usage is one of our programs as a service runs it.
type usage struct {
	dir, program string
	service      types.ServiceConfig
}

func (u usage) check(ctx context.Context) (problems []string, err error) {
	environ, err := u.environ()
	if err != nil {
		return nil, err
	}
	output, err := u.run(ctx, environ, "config", "print", "-o", "json")
	if err != nil {
		return []string{"its settings are refused: " + strings.TrimSpace(output)}, nil
	}
	problems = append(problems, u.checkGrace(output)...)
	problems = append(problems, u.checkCommand(ctx, "command", u.service.Command)...)
	if health := u.service.HealthCheck; health != nil {
		if len(health.Test) < 3 || health.Test[0] != "CMD" ||
			health.Test[1] != programFolder+u.program {
			problems = append(problems, fmt.Sprintf(
				"healthcheck %q: the image holds no other program than %s", health.Test,
				programFolder+u.program))
		} else {
			problems = append(problems, u.checkCommand(ctx, "healthcheck", health.Test[2:])...)
		}
	}
	return problems, nil
}

// environ is the service's environment, with files of its own in place of the secrets' files.
func (u usage) environ() (environ []string, err error) {
	secrets, err := os.MkdirTemp(u.dir, "secrets-")
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(u.service.Environment) {
		value := ""
		if given := u.service.Environment[name]; given != nil {
			value = *given
		}
		if strings.HasSuffix(name, "_FILE") {
			secret := "secret"
			if strings.HasSuffix(name, "_CACHE_KEYS_FILE") {
				secret = "k1:" + strings.Repeat("5a", 32)
			}
			value = filepath.Join(secrets, name)
			if err := os.WriteFile(value, []byte(secret), 0o600); err != nil {
				return nil, err
			}
		}
		environ = append(environ, name+"="+value)
	}
	return environ, nil
}

func (u usage) run(ctx context.Context, environ []string, args ...string) (string, error) {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, filepath.Join(u.dir, u.program), args...)
	command.Env = append([]string{}, environ...) // nothing of ours
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	return output.String(), err
}

// checkCommand: with --help a program says how a command is used, after it has read the flags, and
// does nothing. For a command that it does not know it says how the program itself is used.
func (u usage) checkCommand(ctx context.Context, what string, args []string) []string {
	output, err := u.run(ctx, nil, append(slices.Clone(args), "--help")...)
	path := u.program
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		path += " " + args[0]
	}
	if err != nil || !strings.Contains(output, "\nUsage:\n  "+path) {
		return []string{fmt.Sprintf("%s %q: %s does not know it", what, args, u.program)}
	}
	return nil
}

// checkGrace: docker kills what has not ended after the grace period.
func (u usage) checkGrace(printed string) []string {
	var settings []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(printed), &settings); err != nil {
		return []string{"config print: " + err.Error()}
	}
	for _, setting := range settings {
		if setting.Key != "shutdown.grace_seconds" || isJob(u.service) {
			continue
		}
		seconds, err := strconv.Atoi(setting.Value)
		if err != nil {
			return []string{"shutdown.grace_seconds: " + err.Error()}
		}
		need := time.Duration(seconds) * time.Second
		if period := u.service.StopGracePeriod; period == nil || time.Duration(*period) <= need {
			return []string{fmt.Sprintf("stop_grace_period must be more than "+
				"shutdown.grace_seconds, which is %s", need)}
		}
	}
	return nil
}

// givenSecrets reads, from the script that makes the secrets, which files each volume gets.
func givenSecrets(script string) map[string][]string {
	given := map[string][]string{}
	lines := regexp.MustCompile(`(?m)^give (\S+) \S+ (\S+)$`)
	for _, match := range lines.FindAllStringSubmatch(script, -1) {
		given["secrets-"+match[1]] = append(given["secrets-"+match[1]], match[2])
	}
	return given
}

// checkRedisUser: Redis knows one user, the one that the same script makes.
func checkRedisUser(service types.ServiceConfig, script string) []string {
	if service.Environment["PAYMENT_REDIS_ADDRESS"] == nil {
		return nil
	}
	made := regexp.MustCompile(`(?m)^user (\S+) on `).FindStringSubmatch(script)
	got := service.Environment["PAYMENT_REDIS_USER"]
	if made == nil || got == nil || *got != made[1] {
		return []string{fmt.Sprintf("PAYMENT_REDIS_USER is not the user that prepare.sh makes: %q", made)}
	}
	return nil
}

// checkSecretFiles: each _FILE variable names a secret that is in the volume of this service.
func checkSecretFiles(service types.ServiceConfig, given map[string][]string) (problems []string) {
	var mounted []string
	for _, volume := range service.Volumes {
		if volume.Target+"/" == secretFolder {
			mounted = given[volume.Source]
		}
	}
	for _, name := range sortedKeys(service.Environment) {
		value := service.Environment[name]
		if !strings.HasSuffix(name, "_FILE") || value == nil {
			continue
		}
		secret, ok := strings.CutPrefix(*value, secretFolder)
		if !ok || !slices.Contains(mounted, secret) {
			problems = append(problems, fmt.Sprintf(
				"%s: %s is not among the secrets of this service: %q", name, *value, mounted))
		}
	}
	return problems
}
