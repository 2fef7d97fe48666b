package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// manifests is what one kustomization renders.
type manifests struct {
	workloads   []workload
	deployments []*appsv1.Deployment
	budgets     []*policyv1.PodDisruptionBudget
	policies    []*networkingv1.NetworkPolicy
	settings    map[string]map[string]string // the files of each config map
}

// workload is a kind of pod: a server, or a job that runs once.
type workload struct {
	name   string
	server bool
	pod    corev1.PodTemplateSpec
}

// render builds a kustomization and reads what it gives.
func render(folder string) (manifests, error) {
	kustomizer := krusty.MakeKustomizer(krusty.MakeDefaultOptions())
	resources, err := kustomizer.Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return manifests{}, err
	}
	text, err := resources.AsYaml()
	if err != nil {
		return manifests{}, err
	}
	objects, err := decode(text)
	if err != nil {
		return manifests{}, err
	}
	m := manifests{settings: map[string]map[string]string{}}
	for _, object := range objects {
		m.add(object)
	}
	return m, nil
}

func (m *manifests) add(object runtime.Object) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		m.deployments = append(m.deployments, o)
		m.workloads = append(m.workloads, workload{o.Name, true, o.Spec.Template})
	case *batchv1.Job:
		m.workloads = append(m.workloads, workload{o.Name, false, o.Spec.Template})
	case *policyv1.PodDisruptionBudget:
		m.budgets = append(m.budgets, o)
	case *networkingv1.NetworkPolicy:
		m.policies = append(m.policies, o)
	case *corev1.ConfigMap:
		m.settings[o.Name] = o.Data
	}
}

// decode reads documents of the kinds that we use, and refuses other kinds, unknown fields,
// fields given twice and values of wrong types.
func decode(text []byte) (objects []runtime.Object, err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer func() { _ = documents.Close() }() // it is in memory
	buffer := make([]byte, len(text)+1)
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(bytes.Clone(buffer[:n]), nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, buffer[:n])
		}
		objects = append(objects, object)
	}
}

// readSecrets reads the form of the secrets: the keys of each. What holds a value is refused.
func readSecrets(file string) (map[string][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	objects, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	keys := map[string][]string{}
	for _, object := range objects {
		secret, ok := object.(*corev1.Secret)
		if !ok {
			return nil, fmt.Errorf("%s: %T is no secret", file, object)
		}
		for key, value := range secret.StringData {
			if value != "" {
				return nil, fmt.Errorf("%s: %s holds a value: this is a form", file, key)
			}
			keys[secret.Name] = append(keys[secret.Name], key)
		}
	}
	return keys, nil
}
