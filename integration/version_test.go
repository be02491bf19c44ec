package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The image is built without a git repository: its program says the version that the
// build was given, and compose hands that on to each build.
func TestVersionOfTheImage(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join("..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?s)FROM .* AS build.*\nARG VERSION=\n.*-ldflags "([^"]*)"`).FindSubmatch(dockerfile)
	if flags == nil {
		t.Fatal("the Dockerfile hands no VERSION to the linker")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for version, want := range map[string]string{"v9.8.7-3-gabcdef": "flowscope v9.8.7-3-gabcdef go", "": "flowscope (devel) go"} {
		program := filepath.Join(t.TempDir(), "flowscope")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", strings.ReplaceAll(string(flags[1]), "${VERSION}", version), "-o", program, "flowscope/cmd/flowscope")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		output(ctx, t, build)
		if got := output(ctx, t, exec.CommandContext(ctx, program, "version")); !strings.HasPrefix(got, want) {
			t.Errorf("built with VERSION=%s the program says %q, want %q", version, got, want)
		}
	}
	compose, err := os.ReadFile(filepath.Join("..", "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if builds, given := strings.Count(string(compose), "build:"), strings.Count(string(compose), "VERSION: ${VERSION:-}"); builds == 0 || builds != given {
		t.Errorf("%d builds in the compose file, %d of them are given VERSION", builds, given)
	}
}
