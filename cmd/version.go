package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand says which version this is.
type versionCommand struct{}

// Run prints the version, revision and Go's version.
func (*versionCommand) Run(p *process) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		revision = revisionOf(info.Settings)
	}
	_, err := fmt.Fprintf(p.stdout, "flowscope %s%s %s %s/%s\n",
		moduleVersion(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return outputError(err)
}

// version is what the linker was given (-X flowscope/cmd.version=…), for builds that see no
// git repository, such as that of the image. Nothing else sets it; "" is for none.
var version string

// moduleVersion is the version that the build was given, or else that Go has built in.
func moduleVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "(unknown)"
}

func revisionOf(settings []debug.BuildSetting) string {
	value := map[string]string{}
	for _, s := range settings {
		value[s.Key] = s.Value
	}
	revision := value["vcs.revision"]
	if revision == "" {
		return ""
	}
	if value["vcs.modified"] == "true" {
		revision += ", modified"
	}
	return " (" + revision + ")"
}
