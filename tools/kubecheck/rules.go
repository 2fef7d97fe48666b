package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// user is who our image runs as: it has no name that Kubernetes could see.
const user = 65532

// rule is one thing that is wanted, and what is said where it is missing.
type rule struct {
	ok   bool
	text string
}

func broken(name string, rules ...rule) (problems []string) {
	for _, r := range rules {
		if !r.ok {
			problems = append(problems, name+": "+r.text)
		}
	}
	return problems
}

// checkRules asks of each workload what this project wants of it.
func checkRules(m manifests, secrets map[string][]string) (problems []string) {
	if len(m.workloads) == 0 {
		return []string{"there is no workload"}
	}
	for _, w := range m.workloads {
		problems = append(problems, checkStandard(w)...)
		problems = append(problems, checkPod(w)...)
		problems = append(problems, checkVolumes(w, secrets)...)
		for _, c := range w.pod.Spec.Containers {
			problems = append(problems, checkContainer(w.name, c)...)
			if w.server {
				problems = append(problems, checkProbes(w.name, c)...)
			}
		}
	}
	return append(problems, checkDeployments(m)...)
}

// checkStandard holds a pod against Kubernetes' own standard.
func checkStandard(w workload) (problems []string) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(
		restricted, &w.pod.ObjectMeta, &w.pod.Spec) {
		if !result.Allowed {
			problems = append(problems, fmt.Sprintf("%s: not restricted: %s (%s)", w.name,
				result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
	return problems
}

// checkPod asks what goes beyond the standard.
func checkPod(w workload) []string {
	spec := w.pod.Spec
	context := cmp.Or(spec.SecurityContext, &corev1.PodSecurityContext{})
	return broken(w.name,
		rule{is(context.RunAsUser, user), fmt.Sprintf("runAsUser is not %d", user)},
		rule{is(context.RunAsGroup, user), fmt.Sprintf("runAsGroup is not %d", user)},
		rule{is(context.FSGroup, user),
			fmt.Sprintf("fsGroup is not %d: the program could not read its secrets", user)},
		rule{is(spec.AutomountServiceAccountToken, false),
			"automountServiceAccountToken is not false"},
		rule{is(spec.EnableServiceLinks, false), "enableServiceLinks is not false"},
		rule{spec.ServiceAccountName != "", "serviceAccountName is not set"},
	)
}

// is says whether an optional value is there and has this value.
func is[T comparable](got *T, want T) bool { return got != nil && *got == want }

func checkContainer(workload string, c corev1.Container) (problems []string) {
	context := cmp.Or(c.SecurityContext, &corev1.SecurityContext{})
	_, memory := c.Resources.Limits[corev1.ResourceMemory]
	_, cpu := c.Resources.Requests[corev1.ResourceCPU]
	problems = broken(workload,
		rule{is(context.ReadOnlyRootFilesystem, true), "readOnlyRootFilesystem is not true"},
		rule{memory, "resources.limits.memory is not set"},
		rule{cpu, "resources.requests.cpu is not set"},
		rule{context.RunAsUser == nil, "the container has a user of its own"},
	)
	secret := regexp.MustCompile(`(PASSWORD|SECRET_KEY|CACHE_KEYS|TOKEN)$`)
	for _, variable := range c.Env {
		if secret.MatchString(variable.Name) {
			problems = append(problems, fmt.Sprintf("%s: %s holds a secret: use %s_FILE",
				workload, variable.Name, variable.Name))
		}
	}
	return problems
}

// checkProbes: what hangs is restarted; what is not ready is not.
func checkProbes(workload string, c corev1.Container) []string {
	return broken(workload,
		rule{asks(c.LivenessProbe, "/healthz"), "livenessProbe does not ask /healthz"},
		rule{asks(c.ReadinessProbe, "/readyz"), "readinessProbe does not ask /readyz"},
		rule{c.StartupProbe == nil || asks(c.StartupProbe, "/healthz"),
			"startupProbe does not ask /healthz"},
	)
}

func asks(probe *corev1.Probe, path string) bool {
	return probe != nil && probe.HTTPGet != nil && probe.HTTPGet.Path == path &&
		probe.HTTPGet.Port.StrVal == opsPort
}

// checkVolumes: each mount has its volume, and each secret is on the form and not for everybody.
func checkVolumes(w workload, secrets map[string][]string) (problems []string) {
	names := map[string]bool{}
	for _, volume := range w.pod.Spec.Volumes {
		names[volume.Name] = true
		if secret := volume.Secret; secret != nil {
			problems = append(problems, broken(w.name,
				rule{secret.DefaultMode != nil && *secret.DefaultMode&0o007 == 0,
					fmt.Sprintf("secret %s may be read by everybody", secret.SecretName)},
				rule{len(secrets[secret.SecretName]) > 0,
					fmt.Sprintf("secret %s is not in secrets.template.yaml", secret.SecretName)},
			)...)
		}
	}
	for _, c := range w.pod.Spec.Containers {
		for _, mount := range c.VolumeMounts {
			problems = append(problems, broken(w.name,
				rule{names[mount.Name], fmt.Sprintf("volume %s is not there", mount.Name)},
				rule{mount.ReadOnly, fmt.Sprintf("volume %s is mounted writable", mount.Name)},
			)...)
		}
	}
	return problems
}

// checkDeployments: selectors that select nothing are no error to Kubernetes.
func checkDeployments(m manifests) (problems []string) {
	for _, d := range m.deployments {
		pod := d.Spec.Template
		budgets := 0
		for _, b := range m.budgets {
			if selects(b.Spec.Selector, pod.Labels) {
				budgets++
			}
		}
		rolling := d.Spec.Strategy.RollingUpdate
		problems = append(problems, broken(d.Name,
			rule{selects(d.Spec.Selector, pod.Labels), "its selector is not that of its pods"},
			rule{budgets == 1, fmt.Sprintf("%d disruption budgets select its pods, not 1", budgets)},
			rule{rolling != nil && rolling.MaxSurge != nil && rolling.MaxUnavailable != nil,
				"strategy.rollingUpdate does not say maxSurge and maxUnavailable"},
			rule{len(pod.Spec.TopologySpreadConstraints) > 0, "its pods are not spread"},
		)...)
		for _, spread := range pod.Spec.TopologySpreadConstraints {
			problems = append(problems, broken(d.Name, rule{selects(spread.LabelSelector, pod.Labels),
				"topologySpreadConstraints do not select its pods"})...)
		}
	}
	return problems
}

// selects is false for a selector that is not there, and for one that selects everything.
func selects(selector *metav1.LabelSelector, of map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(of))
}

// checkImages: an overlay names the image by its digest or by a whole version.
func checkImages(m manifests) (problems []string) {
	pinned := regexp.MustCompile(`@sha256:[0-9a-f]{64}$|:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.-]+)?$`)
	for _, w := range m.workloads {
		for _, c := range slices.Concat(w.pod.Spec.InitContainers, w.pod.Spec.Containers) {
			problems = append(problems, broken(w.name, rule{
				pinned.MatchString(c.Image) && strings.Contains(c.Image, "/"),
				fmt.Sprintf("image %q has no registry, or no digest and no whole version", c.Image),
			})...)
		}
	}
	return problems
}
