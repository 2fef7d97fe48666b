package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build says which program this is.
type Build struct {
	// Version is a tag, or "devel" for what is none; Revision is the commit, if it is known.
	Version, Revision string
}

// Version reads what the Go tool wrote into the binary.
func Version() Build {
	build := Build{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build
	}
	if info.Main.Version != "" {
		build.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			build.Revision = setting.Value
		}
	}
	return build
}

// String is what --version prints behind the program's name.
func (b Build) String() string {
	return fmt.Sprintf("%s, commit %s, %s %s/%s", b.Version, cmp.Or(b.Revision, "unknown"),
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
