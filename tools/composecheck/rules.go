package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// checkServices applies the rules to each service, in the order of their names.
func checkServices(project *types.Project) (problems []string) {
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		rules := [][]string{
			checkImage(service), checkRun(service), checkWaits(service, project.Services),
			checkRights(service), checkFiles(service), checkSecrets(service),
		}
		for _, problem := range slices.Concat(rules...) {
			problems = append(problems, name+": "+problem)
		}
	}
	return append(problems, checkBuilds(project)...)
}

// pinned says whether an image is named by a digest or by a whole version.
func pinned(image string) bool {
	return regexp.MustCompile(`@sha256:[0-9a-f]{64}$|:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.-]+)?$`).
		MatchString(image)
}

func checkImage(service types.ServiceConfig) []string {
	local := strings.HasSuffix(service.Image, ":local")
	switch {
	case service.Build != nil && local:
		return nil
	case local && service.PullPolicy != types.PullPolicyNever:
		return []string{fmt.Sprintf("image %q is built by another service: pull_policy must be never",
			service.Image)}
	case local:
		return nil
	case service.Build != nil:
		return []string{fmt.Sprintf("image %q: what is built here ends in :local, so that nobody "+
			"takes it for a released one", service.Image)}
	case !pinned(service.Image):
		return []string{fmt.Sprintf("image %q has no digest and no whole version", service.Image)}
	}
	return nil
}

// isJob says whether a service runs once. Every service says so itself, by its restart policy.
func isJob(service types.ServiceConfig) bool { return service.Restart == types.RestartPolicyNo }

// checkRun: a server is watched, a job is waited for.
func checkRun(service types.ServiceConfig) (problems []string) {
	if service.Restart == "" {
		problems = append(problems, `no restart policy: "no" for a job, another for a server`)
	}
	health := service.HealthCheck
	watched := health != nil && !health.Disable && len(health.Test) > 0 && health.Test[0] != "NONE"
	switch {
	case isJob(service) && watched:
		problems = append(problems, "a job has no use for a healthcheck")
	case !isJob(service) && !watched:
		problems = append(problems, "a server needs a healthcheck")
	case watched && (health.Interval == nil || health.Timeout == nil || health.Retries == nil):
		problems = append(problems, "the healthcheck needs interval, timeout and retries")
	}
	return problems
}

// checkWaits: each dependency is waited for as it can be.
func checkWaits(service types.ServiceConfig, all types.Services) (problems []string) {
	for _, name := range sortedKeys(service.DependsOn) {
		want := types.ServiceConditionHealthy
		if isJob(all[name]) {
			want = types.ServiceConditionCompletedSuccessfully
		}
		if got := service.DependsOn[name].Condition; got != want {
			problems = append(problems, fmt.Sprintf("depends on %s with condition %s, not %s",
				name, got, want))
		}
	}
	return problems
}

func checkRights(service types.ServiceConfig) (problems []string) {
	for _, one := range []struct {
		ok   bool
		text string
	}{
		{service.ReadOnly, "read_only is not set"},
		{!service.Privileged, "it is privileged"},
		{slices.Contains(service.CapDrop, "ALL"), "cap_drop does not name ALL"},
		{slices.Contains(service.SecurityOpt, "no-new-privileges:true"),
			"security_opt does not name no-new-privileges:true"},
		{service.MemLimit > 0, "mem_limit is not set"},
		{service.PidsLimit > 0, "pids_limit is not set"},
	} {
		if !one.ok {
			problems = append(problems, one.text)
		}
	}
	for _, port := range service.Ports {
		if port.HostIP != "127.0.0.1" {
			problems = append(problems, fmt.Sprintf("port %d is published on %q, not 127.0.0.1",
				port.Target, cmp.Or(port.HostIP, "all addresses")))
		}
	}
	return problems
}

// checkFiles: docker makes a folder of a file that is not there, unless it is told not to.
func checkFiles(service types.ServiceConfig) (problems []string) {
	for _, volume := range service.Volumes {
		if volume.Type != types.VolumeTypeBind {
			continue
		}
		if info, err := os.Stat(volume.Source); err != nil || !info.Mode().IsRegular() {
			problems = append(problems, fmt.Sprintf("%s is not a file", volume.Source))
		}
		if volume.Bind == nil || bool(volume.Bind.CreateHostPath) {
			problems = append(problems, volume.Source+" lacks bind: {create_host_path: false}")
		}
		if !volume.ReadOnly {
			problems = append(problems, volume.Source+" is not mounted read-only")
		}
	}
	return problems
}

// checkBuilds: each image of ours is built by one service. Two that build one tag do so side by
// side, and one of them fails.
func checkBuilds(project *types.Project) (problems []string) {
	builders := map[string][]string{}
	for _, name := range project.ServiceNames() {
		if service := project.Services[name]; service.Build != nil {
			builders[service.Build.Target] = append(builders[service.Build.Target], name)
		}
	}
	for _, program := range programs() {
		if by := builders[program]; len(by) != 1 {
			problems = append(problems, fmt.Sprintf(
				"%s must be built by one service, not by %q", program, by))
		}
	}
	return problems
}

// checkSecrets: a secret in a variable is there for everybody who may look at the container.
func checkSecrets(service types.ServiceConfig) (problems []string) {
	secret := regexp.MustCompile(`(PASSWORD|SECRET_KEY|CACHE_KEYS|TOKEN)$`)
	for _, name := range sortedKeys(service.Environment) {
		if secret.MatchString(name) {
			problems = append(problems, name+" holds a secret: use "+name+"_FILE")
		}
	}
	return problems
}

// checkImages applies the rule for images to a Dockerfile.
func checkImages(dockerfile string) (problems []string) {
	for _, from := range stages(dockerfile) {
		if !from.local && !pinned(from.image) {
			problems = append(problems, fmt.Sprintf(
				"Dockerfile: image %q has no digest and no whole version", from.image))
		}
	}
	return problems
}

// checkTargets: compose finds out about a missing stage only when it builds.
func checkTargets(project *types.Project, dockerfile string) (problems []string) {
	for _, name := range project.ServiceNames() {
		build := project.Services[name].Build
		if build != nil && !slices.ContainsFunc(stages(dockerfile), func(s stage) bool {
			return s.name == build.Target
		}) {
			problems = append(problems,
				fmt.Sprintf("%s: the Dockerfile has no stage %q", name, build.Target))
		}
	}
	return problems
}

// stage is one stage of a Dockerfile, local if it continues an earlier one.
type stage struct {
	image, name string
	local       bool
}

func stages(dockerfile string) (all []stage) {
	from := regexp.MustCompile(`(?m)^FROM (?:--\S+ )*(\S+)(?: AS (\S+))?$`)
	for _, match := range from.FindAllStringSubmatch(dockerfile, -1) {
		one := stage{image: match[1], name: match[2]}
		one.local = slices.ContainsFunc(all, func(s stage) bool { return s.name == one.image })
		all = append(all, one)
	}
	return all
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
