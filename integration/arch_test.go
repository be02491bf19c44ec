package integration

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// projectRules is the architecture as data: what each folder may import, and
// what may stand at the top of the tree.
var projectRules = archRules{
	module: "flowscope",
	top: []string{
		"cmd", "ingest", "flow", "session", "parsers", "publish", "config", "integration", "docs", "deploy",
		"go.mod", "go.sum", "README.md", "LICENSE", "Dockerfile", "docker-compose.yml",
	},
	// The first pattern that matches a folder holds for it. A folder may always
	// import itself: that is how its external tests reach it.
	folders: []archFolder{
		{pattern: "ingest"},
		{pattern: "ingest/filter"},
		{pattern: "flow", imports: []string{"ingest"}},
		{pattern: "session", imports: []string{"flow", "ingest", "session/pack"}},
		{pattern: "session/pack"},
		{pattern: "session/wire"},
		{pattern: "session/sessiontest", imports: []string{"session", "flow", "ingest"}},
		{pattern: "parsers", imports: []string{"session", "parsers/*"}},
		{pattern: "parsers/*", imports: []string{"session", "session/pack", "session/wire"}},
		{pattern: "publish", imports: []string{"session", "session/pack", "flow"}, inTests: []string{"publish/embedded"}},
		{pattern: "publish/embedded", imports: []string{"publish", "session", "session/pack", "flow"}},
		{pattern: "config", imports: []string{"ingest", "ingest/filter", "flow", "session", "publish", "publish/embedded"}},
		{pattern: "cmd/flowscope", imports: []string{"cmd", "parsers"}},
		{pattern: "cmd", imports: afterParsers("cmd/internal/**")},
		{pattern: "cmd/internal/**", imports: afterParsers("cmd/internal/**")},
		{pattern: "integration", imports: []string{"**"}},
		{pattern: "integration/measure", imports: []string{"**"}},
		{pattern: "integration/traffic"},
	},
	inTests: []string{"session/sessiontest", "parsers"},
	foreign: []archForeign{
		{path: "github.com/nats-io/nats-server", in: []string{"publish/embedded"}, inTests: []string{"publish", "cmd/internal/top", "integration"}},
		{path: "github.com/prometheus", in: []string{"cmd", "cmd/internal/**"}},
		{path: "github.com/google/gopacket/reassembly"},
		{path: "github.com/google/gopacket/tcpassembly"},
		{path: "github.com/gopacket/gopacket/reassembly"},
		{path: "C"},
	},
	blank: []string{"embed"},
}

// afterParsers lists what the commands may import: all but the parsers.
func afterParsers(more ...string) []string {
	return append([]string{
		"ingest", "ingest/filter", "flow", "session", "session/pack", "session/wire",
		"publish", "publish/embedded", "config",
	}, more...)
}

func TestArchitecture(t *testing.T) {
	for _, finding := range projectRules.check(os.DirFS("..")) {
		t.Error(finding)
	}
}

// TestArchitectureFails breaks each rule once in a tree that is otherwise good.
func TestArchitectureFails(t *testing.T) {
	const flowDoc = "// Package flow tracks.\npackage flow\n"
	tests := []struct {
		name   string
		change map[string]string // a file's new text
		want   string
	}{
		{"nothing wrong", nil, ""},
		{
			"a stage imports a later one",
			map[string]string{"flow/table.go": "package flow\n\nimport \"flowscope/publish\"\n"},
			"flow/table.go: imports flowscope/publish; of this module flow may import: ingest",
		},
		{
			"a leaf imports anything",
			map[string]string{"session/pack/pack.go": "// Package pack packs.\npackage pack\n\nimport \"flowscope/session\"\n"},
			"session/pack/pack.go: imports flowscope/session; of this module session/pack may import: nothing",
		},
		{
			"a test imports what tests may",
			map[string]string{"flow/table_test.go": "package flow_test\n\nimport (\n\t\"flowscope/flow\"\n\t\"flowscope/session/sessiontest\"\n)\n"},
			"",
		},
		{
			"a test imports more",
			map[string]string{"flow/table_test.go": "package flow_test\n\nimport \"flowscope/publish\"\n"},
			"flow/table_test.go: imports flowscope/publish; of this module flow may import: ingest; in tests also: session/sessiontest, parsers",
		},
		{
			"a parser imports another",
			map[string]string{"parsers/dns/dns.go": "// Package dns parses.\npackage dns\n\nimport \"flowscope/parsers/http\"\n"},
			"parsers/dns/dns.go: imports flowscope/parsers/http; of this module parsers/dns may import: session, session/pack, session/wire",
		},
		{
			"the list of parsers imports them",
			map[string]string{"parsers/parsers.go": "// Package parsers lists.\npackage parsers\n\nimport \"flowscope/parsers/dns\"\n"},
			"",
		},
		{
			"the commands import the parsers",
			map[string]string{"cmd/main.go": "// Package cmd runs.\npackage cmd\n\nimport \"flowscope/parsers\"\n"},
			"cmd/main.go: imports flowscope/parsers; of this module cmd may import: ingest, ingest/filter, flow, session, session/pack, session/wire, publish, publish/embedded, config, cmd/internal/**",
		},
		{
			"a folder that nobody knows",
			map[string]string{"session/helpers/helpers.go": "// Package helpers helps.\npackage helpers\n"},
			"session/helpers: this folder is not in the table of integration/arch_test.go",
		},
		{
			"no package doc",
			map[string]string{"flow/flow.go": "package flow\n"},
			"flow: no file has a package comment that begins with \"Package flow \"",
		},
		{
			"a comment that is none",
			map[string]string{"flow/flow.go": "// What flows.\npackage flow\n"},
			"flow: no file has a package comment that begins with \"Package flow \"",
		},
		{
			"a stray file at the top",
			map[string]string{"notes.txt": "remember the milk\n"},
			"notes.txt: not expected at the top of the tree",
		},
		{
			"a stray folder at the top",
			map[string]string{"util/util.go": "// Package util is.\npackage util\n"},
			"util: not expected at the top of the tree",
		},
		{"a build product at the top", map[string]string{".gitignore": "/flowscope\n*.prof\n", "flowscope": "ELF", "cpu.prof": ""}, ""},
		{
			"an init function",
			map[string]string{"flow/init.go": "package flow\n\nfunc init() {}\n"},
			"flow/init.go: declares func init",
		},
		{"a method called init", map[string]string{"flow/init.go": "package flow\n\ntype t struct{}\n\nfunc (t) init() {}\n"}, ""},
		{
			"registration by import",
			map[string]string{"flow/reg.go": "package flow\n\nimport _ \"net/http/pprof\"\n"},
			"flow/reg.go: imports net/http/pprof for its side effects; only embed may be",
		},
		{"embedding", map[string]string{"flow/reg.go": "package flow\n\nimport _ \"embed\"\n"}, ""},
		{
			"the server outside of embedded",
			map[string]string{"publish/nats.go": "// Package publish sends.\npackage publish\n\nimport \"github.com/nats-io/nats-server/v2/server\"\n"},
			"publish/nats.go: imports github.com/nats-io/nats-server/v2/server; this may: publish/embedded; in tests also: publish, cmd/internal/top, integration",
		},
		{
			"the server in a test of publish",
			map[string]string{
				"publish/nats.go":      "// Package publish sends.\npackage publish\n",
				"publish/nats_test.go": "package publish\n\nimport (\n\t\"flowscope/publish/embedded\"\n\t\"github.com/nats-io/nats-server/v2/server\"\n)\n",
			},
			"",
		},
		{
			"metrics outside of the commands",
			map[string]string{"flow/metrics.go": "package flow\n\nimport \"github.com/prometheus/client_golang/prometheus\"\n"},
			"flow/metrics.go: imports github.com/prometheus/client_golang/prometheus; this may: cmd, cmd/internal/**",
		},
		{
			"what nobody may import",
			map[string]string{"flow/r.go": "package flow\n\nimport \"github.com/google/gopacket/reassembly\"\n"},
			"flow/r.go: imports github.com/google/gopacket/reassembly; this may: nothing",
		},
		{"a name that only begins alike", map[string]string{"flow/r.go": "package flow\n\nimport \"github.com/prometheusish/x\"\n"}, ""},
		{"not Go", map[string]string{"flow/broken.go": "package flow\n\nfunc {\n"}, "flow/broken.go: 3:6: expected 'IDENT', found '{'"},
		{"test data is not looked at", map[string]string{"flow/testdata/x.go": "not Go", "flow/.hidden/x.go": "not Go"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := fstest.MapFS{
				"go.mod":           {Data: []byte("module flowscope\n")},
				"flow/flow.go":     {Data: []byte(flowDoc)},
				".ci/run":          {Data: []byte("#!/bin/bash\n")},
				"ingest/ingest.go": {Data: []byte("// Package ingest reads.\npackage ingest\n")},
			}
			for name, text := range test.change {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			got := projectRules.check(tree)
			// A stray folder with sources is reported twice, rightly.
			got = slices.DeleteFunc(got, func(finding string) bool {
				return strings.HasPrefix(finding, "util: this folder")
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
