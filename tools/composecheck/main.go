// Composecheck validates docker-compose.yml where no engine runs. It reads the file as compose
// itself does, with every profile, which finds unknown keys, wrong types and variables that are not
// set. Then it asks what a schema cannot: whether images are pinned, files are there, services are
// waited for as they can be, and whether our programs accept the settings and commands that the
// file gives them.
//
// It is a module of its own, so that the programs do not depend on compose's libraries.
//
// usage: composecheck FOLDER, the one that holds docker-compose.yml
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// limit bounds the whole check. It builds two programs, which takes the time.
const limit = 5 * time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: composecheck FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	root, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	file := filepath.Join(root, "docker-compose.yml")
	project, err := load(ctx, root, file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return err
	}
	problems := slices.Concat(checkServices(project), checkImages(string(dockerfile)),
		checkTargets(project, string(dockerfile)))
	dir, err := os.MkdirTemp("", "composecheck-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := buildPrograms(ctx, root, dir); err != nil {
		return err
	}
	programs, err := checkPrograms(ctx, root, dir, project)
	if err != nil {
		return err
	}
	problems = append(problems, programs...)
	if len(problems) > 0 {
		all := make([]error, len(problems))
		for i, problem := range problems {
			all[i] = errors.New("docker-compose.yml: " + problem)
		}
		return errors.Join(all...)
	}
	fmt.Printf("docker-compose.yml: %d services are in order\n", len(project.Services))
	return nil
}

// load reads a compose file with every profile and with no variables but its own defaults, as on a
// machine where nothing was set up.
func load(ctx context.Context, root, file string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithWorkingDirectory(root),
		cli.WithProfiles([]string{"*"}), cli.WithDiscardEnvFile)
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}
