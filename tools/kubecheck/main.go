// Kubecheck validates deploy/kubernetes where no cluster runs. It renders the base and each overlay
// with kustomize's own library and reads the result as strictly as the API server does, which finds
// unknown fields and wrong types. Every pod is held against Kubernetes' own "restricted" standard.
// Then it asks what no schema knows: whether the pods have what this project wants of them, whether
// selectors, ports and network policies agree with one another, and whether our program accepts
// the settings, files and commands that the pods give it.
//
// It is a module of its own, so that the programs do not depend on Kubernetes' libraries.
//
// usage: kubecheck FOLDER, the one that holds deploy
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// limit bounds the whole check. It builds a program, which takes the time.
const limit = 5 * time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kubecheck FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "kubecheck-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := buildProgram(ctx, root, dir); err != nil {
		return err
	}
	folder := filepath.Join(root, "deploy", "kubernetes")
	problems, err := check(ctx, folder, dir)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		all := make([]error, len(problems))
		for i, problem := range problems {
			all[i] = errors.New("deploy/kubernetes: " + problem)
		}
		return errors.Join(all...)
	}
	fmt.Println("deploy/kubernetes: the base and its overlays are in order")
	return nil
}

// check applies every rule to the base and to each overlay of a folder. The program is in dir. The
// error is for what could not be read or tried.
func check(ctx context.Context, folder, dir string) (problems []string, err error) {
	secrets, err := readSecrets(filepath.Join(folder, "secrets.template.yaml"))
	if err != nil {
		return nil, err
	}
	overlays, err := filepath.Glob(filepath.Join(folder, "overlays", "*"))
	if err != nil {
		return nil, err
	}
	for _, one := range append([]string{filepath.Join(folder, "base")}, overlays...) {
		name := filepath.Base(one)
		m, err := render(one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found := slices.Concat(checkRules(m, secrets), checkNetwork(m))
		if name != "base" { // whose image each overlay names
			found = append(found, checkImages(m)...)
		}
		used, err := checkSettings(ctx, m, secrets, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, problem := range append(found, used...) {
			problems = append(problems, name+": "+problem)
		}
	}
	return problems, nil
}
