package main

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// opsPort is how the pods name the port of health and metrics.
const opsPort = "ops"

// checkNetwork: each workload has one policy, which closes both ways and opens single ports only.
func checkNetwork(m manifests) (problems []string) {
	for _, w := range m.workloads {
		found := policiesOf(m, w)
		if len(found) != 1 {
			problems = append(problems,
				fmt.Sprintf("%s: %d network policies select its pods, not 1", w.name, len(found)))
			continue
		}
		p := found[0].Spec
		problems = append(problems, broken(w.name,
			rule{slices.Contains(p.PolicyTypes, networkingv1.PolicyTypeIngress),
				"its network policy leaves ingress open"},
			rule{slices.Contains(p.PolicyTypes, networkingv1.PolicyTypeEgress),
				"its network policy leaves egress open"},
			rule{w.server || len(p.Ingress) == 0, "a job is reached by nobody"},
		)...)
		for _, in := range p.Ingress {
			problems = append(problems, checkPeers(w.name, in.From, in.Ports)...)
		}
		for _, out := range p.Egress {
			problems = append(problems, checkPeers(w.name, out.To, out.Ports)...)
		}
	}
	return problems
}

func policiesOf(m manifests, w workload) (found []*networkingv1.NetworkPolicy) {
	for _, p := range m.policies {
		if selects(&p.Spec.PodSelector, w.pod.Labels) {
			found = append(found, p)
		}
	}
	return found
}

// checkPeers: a rule without peers is for everybody, and one without ports is for all of them.
func checkPeers(
	name string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
) []string {
	single := len(ports) > 0 && !slices.ContainsFunc(ports,
		func(p networkingv1.NetworkPolicyPort) bool { return p.Port == nil || p.EndPort != nil })
	return broken(name,
		rule{len(peers) > 0, "a rule of its network policy is for every address"},
		rule{single, "a rule of its network policy is for every port"},
	)
}

// opens says whether a workload's policy lets it open connections to a port, if it has a policy.
func opens(m manifests, w workload, port int) bool {
	return slices.ContainsFunc(policiesOf(m, w), func(p *networkingv1.NetworkPolicy) bool {
		return slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
			return hasPort(r.Ports, port)
		})
	})
}

// admits is opens for connections from outside.
func admits(m manifests, w workload, port int) bool {
	return slices.ContainsFunc(policiesOf(m, w), func(p *networkingv1.NetworkPolicy) bool {
		return slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
			return hasPort(r.Ports, port)
		})
	})
}

func hasPort(ports []networkingv1.NetworkPolicyPort, port int) bool {
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return p.Port != nil && p.Port.IntValue() == port
	})
}
