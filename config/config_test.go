package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"flowscope/parsers"
	"flowscope/session"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

var ignoreFactories = cmpopts.IgnoreUnexported(Protocol{})

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What AppendDefaults writes is read as the defaults, strictly.
func TestDefaultsAreTheDefaults(t *testing.T) {
	want := Default(parsers.All()...)
	got, err := Load(Sources{Factories: parsers.All(), File: write(t, string(AppendDefaults(nil, want)))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreFactories, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKeyHasAComment(t *testing.T) {
	var walk func(*key)
	walk = func(k *key) {
		if k.path != "" && k.comment == "" {
			t.Errorf("%s has no comment", k.path)
		}
		for _, c := range k.keys {
			walk(c)
		}
	}
	root := keysOf(Default(parsers.All()...))
	walk(root)
	for path := range comments {
		if _, ok := root.find(path); !ok {
			t.Errorf("comment of %s, which is no key", path)
		}
	}
}

func TestVariablesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	keysOf(Default(parsers.All()...)).values(func(k *key) {
		if other, twice := seen[k.variable()]; twice {
			t.Errorf("%s is both %s and %s", k.variable(), other, k.path)
		}
		seen[k.variable()] = k.path
	})
}

func TestFileProblems(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "flow:\n  udp_idel: 1s\n", "c.yml:2:3: flow.udp_idel: unknown key: did you mean udp_idle?"},
		{"unknown section", "flows: {}\n", "c.yml:1:1: flows: unknown key: did you mean flow?"},
		{"unknown protocol", "protocols:\n  dsn:\n    enabled: true\n", "c.yml:2:3: protocols.dsn: unknown key: did you mean dns?"},
		{"twice", "workers: 1\nworkers: 2\n", "c.yml:2:1: workers: stands twice, first in line 1"},
		{"number wanted", "workers: many\n", `c.yml:1:10: workers: "many": want a whole number`},
		{"fraction", "workers: 1.5\n", `c.yml:1:10: workers: "1.5": want a whole number`},
		{"text wanted", "sensor:\n  name: 7\n", `c.yml:2:9: sensor.name: this is a number: want a text, "7" in quotes`},
		{"truth wanted", "protocols: {dns: {enabled: 1}}\n", `protocols.dns.enabled: "1": want true or false`},
		{"duration without unit", "flow:\n  udp_idle: 10\n", "c.yml:2:13: flow.udp_idle: 10: want a duration with its unit"},
		{"no duration", "flow:\n  udp_idle: soon\n", `c.yml:2:13: flow.udp_idle: "soon": want a duration`},
		{"list wanted", "publish:\n  only: dns\n", "c.yml:2:9: publish.only: this is a text: want a list"},
		{"list of others", "protocols: {dns: {ports: [53, dns]}}\n", `protocols.dns.ports: element 2 of the list: "dns": want a whole number from 0 to 65535`},
		{"nothing", "flow:\n  udp_idle:\n", "flow.udp_idle: has no value: want a duration"},
		{"section wanted", "flow: 3\n", "c.yml:1:7: flow: this is a number: want keys below it"},
		{"list for a section", "flow: [1]\n", "flow: this is a list: want keys below it"},
		{"two documents", "workers: 1\n---\nworkers: 2\n", "a second document"},
		{"no YAML", "flow: [\n", "not YAML: "},
		{"out of range", "flow:\n  max_flows: 0\n", "c.yml:2:3: flow.max_flows: 0: want 1 to"},
		{"range below a section", "publish:\n  in_flight:\n    messages: 0\n", "c.yml:3:5: publish.in_flight.messages: 0: want"},
		{"port 0", "protocols:\n  mdns:\n    ports: [0]\n", "c.yml:3:5: protocols.mdns.ports: want 1 to 65535, got 0"},
		{"port twice", "protocols:\n  http:\n    ports: [80, 81, 80]\n", "c.yml:3:5: protocols.http.ports: 80 is listed twice"},
		{"no port", "protocols:\n  http:\n    ports: [65536]\n", "protocols.http.ports: element 1 of the list"},
		{"small buffer", "protocols:\n  http:\n    buffer: 511\n", "c.yml:3:5: protocols.http.buffer: 511: want 512 to"},
		{"buffer of datagrams", "protocols:\n  ntp:\n    buffer: 1024\n", "c.yml:3:5: protocols.ntp.buffer: unknown key"},
		{"option of a protocol", "protocols:\n  dns:\n    max_pending: 0\n", "c.yml:3:5: protocols.dns.max_pending: want 1 to"},
		{"two logins", "publish:\n  auth:\n    credentials: a\n    nkey_seed: b\n", "c.yml:3:5: publish.auth: credentials and nkey_seed: want one way"},
		{"switched off", "protocols: {dns: {enabled: false}}\npublish: {only: [dns]}\n", `publish.only: protocol "dns" is switched off`},
		{"octal", "flow:\n  max_flows: 010000\n", `c.yml:2:14: flow.max_flows: "010000": want a whole number in plain decimal`},
		{"octal in a list", "protocols: {dns: {ports: [0053]}}\n", `protocols.dns.ports: element 1 of the list: "0053": want a whole number in plain decimal`},
		{"hex in a list", "protocols: {dns: {ports: [53, 0x35]}}\n", `element 2 of the list: "0x35": want a whole number in plain decimal`},
		{"other octal", "workers: 0o7\n", `workers: "0o7": want a whole number in plain decimal`},
		{"no octal either", "workers: 09\n", `workers: "09": want a whole number in plain decimal`},
		{"underscore", "workers: 1_0\n", `workers: "1_0": want a whole number in plain decimal`},
		{"too many workers", "workers: 257\n", "c.yml:1:1: workers: 257: want 1 to 256"},
		{"too long", "flow:\n  tcp_idle: 9999999h\n", `c.yml:2:13: flow.tcp_idle: "9999999h": too long: want at most 2562047h`},
		{"two overrides of one kind", "flow: {idle_overrides: [tcp/22=1h, udp=1m, tcp/22=2h]}\n", `flow.idle_overrides: "tcp/22=2h": the same as "tcp/22=1h": want one of them`},
		{"listening without login", "publish:\n  embedded:\n    listen: 0.0.0.0:4222\n", `c.yml:3:5: publish.embedded.listen: "0.0.0.0:4222": others reach it: want a login for them in embedded.user_file`},
		{"leaf without domain", "publish:\n  embedded:\n    leaf:\n      servers: [\"nats://hub:7422\"]\n", "c.yml:4:7: publish.embedded.leaf.servers: want a stream.domain with them"},
		{"another word", "publish: {only: [foo]}\n", `publish.only: unknown protocol "foo": known are `},
		{"another protocol", "protocols: {ftp: {}}\n", "protocols.ftp: unknown key: known are "},
		{"nearly a protocol", "protocols: {htp: {}}\n", "protocols.htp: unknown key: did you mean http?"},
		{"filter too long", "capture: {filter: \"" + strings.Repeat("host 192.0.2.1 or ", 3000) + "udp\"}\n", "c.yml:1:11: capture.filter: the expression makes a program of more than 4096 instructions"},
		{"no URL", "publish: {servers: [\"127.0.0.1:4222\"]}\n", `publish.servers: "127.0.0.1:4222": want nats://host:port`},
		{"user of 33 bits", "security: {user: \"4294967296\"}\n", `c.yml:1:12: security.user: "4294967296": want the name of a user, or a number from 1 to 4294967294`},
		{"user that is none", "security: {user: \"4294967295\"}\n", `security.user: "4294967295": want the name`},
		{"user below zero", "security: {user: \"-1\"}\n", `security.user: "-1": want the name`},
		{"user and group", "security: {user: \"65534:65534\"}\n", `security.user: "65534:65534": want the name`},
		{"user in octal", "security: {user: \"0100\"}\n", `security.user: "0100": want the name`},
		{"root by number", "security: {user: \"0\"}\n", `security.user: "0": this is root, who gives nothing up`},
		{"root by name", "security: {user: root}\n", `security.user: "root": this is root`},
		{"login in a URL", "publish:\n  servers: [\"nats://s3cret@host:1\"]\n", "nats://[masked]@host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Sources{Factories: parsers.All(), File: write(t, tt.text)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Error("a secret is told")
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "workers: 2\nflow: {udp_idle: 2s, tcp_idle: 2s, other_idle: 2s}\n")
	c, err := Load(Sources{
		Factories: parsers.All(), File: file,
		Environ: []string{"FLOWSCOPE_FLOW_UDP_IDLE=3s", "FLOWSCOPE_FLOW_TCP_IDLE=3s", "FLOWSCOPE_CORPUS=/x", "FLOWSCOPE_IMAGE=y", "PATH=/bin"},
		Flags:   []Flag{{"--udp", "flow.udp_idle", "4s"}, {"--only", "publish.only", "dns, flow"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Workers, c.Flow.UDPIdle.String(), c.Flow.TCPIdle.String(), c.Flow.OtherIdle.String(), c.Flow.TCPSetupIdle.String(), c.Publish.Only}
	want := []any{2, "4s", "3s", "2s", "20s", []string{"dns", "flow"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentProblems(t *testing.T) {
	tests := []struct{ name, entry, want string }{
		{"unknown", "FLOWSCOPE_FLOW_UDP_IDEL=1s", "FLOWSCOPE_FLOW_UDP_IDEL: no such key: variables are FLOWSCOPE_<SECTION>_<KEY>, did you mean FLOWSCOPE_FLOW_UDP_IDLE?"},
		{"octal", "FLOWSCOPE_PROTOCOLS_DNS_PORTS=53,0065", `FLOWSCOPE_PROTOCOLS_DNS_PORTS: "0065": want a whole number in plain decimal`},
		{"unknown and empty", "FLOWSCOPE_FLOW_UDP_IDEL=", "FLOWSCOPE_FLOW_UDP_IDEL: no such key"},
		{"type", "FLOWSCOPE_WORKERS=x", `FLOWSCOPE_WORKERS: "x": want a whole number`},
		{"range", "FLOWSCOPE_FLOW_MAX_FLOWS=0", "FLOWSCOPE_FLOW_MAX_FLOWS: 0: want 1 to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Sources{Factories: parsers.All(), Environ: []string{tt.entry}})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// An empty variable leaves what the file says, as one that is not set does.
func TestEmptyVariables(t *testing.T) {
	file := write(t, "workers: 2\nprotocols: {dns: {ports: [54]}}\npublish: {servers: [\"nats://a:1\"]}\nmonitor: {pprof: true}\n")
	want, err := Load(Sources{Factories: parsers.All(), File: file})
	if err != nil {
		t.Fatal(err)
	}
	var empty []string
	keysOf(Default(parsers.All()...)).values(func(k *key) { empty = append(empty, k.variable()+"=") })
	got, err := Load(Sources{Factories: parsers.All(), File: file, Environ: empty})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreFactories); diff != "" {
		t.Error(diff)
	}
}

func TestByteOrderMark(t *testing.T) {
	c, err := Load(Sources{Factories: parsers.All(), File: write(t, "\ufeffworkers: 3\n")})
	if err != nil || c.Workers != 3 {
		t.Errorf("%v, %v", c, err)
	}
}

func TestOptionsReachTheFactories(t *testing.T) {
	c, err := Load(Sources{
		Factories: parsers.All(),
		File:      write(t, "protocols:\n  dns: {ports: [5300], buffer: 4096, max_pending: 7}\n  llmnr: {ports: []}\n  mdns: {enabled: false}\n"),
		Environ:   []string{"FLOWSCOPE_PROTOCOLS_NTP_PORTS=124,125"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Registry()
	if err != nil {
		t.Fatal(err)
	}
	if _, found := r.Lookup("mdns"); found {
		t.Error("mdns is there")
	}
	f, _ := r.Lookup("dns")
	if got := reflect.ValueOf(f.(session.Configurable).Config()).Elem().FieldByName("MaxPending").Int(); got != 7 {
		t.Errorf("max_pending is %d", got)
	}
	for name, want := range map[string]session.Settings{
		"dns": {Ports: []uint16{5300}, Buffer: 4096}, "llmnr": {Buffer: 65536}, "ntp": {Ports: []uint16{124, 125}, Buffer: 65536},
		"syslog": {Ports: []uint16{514, 601}, Buffer: 65536},
	} {
		got, _ := r.Settings(name)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// clashing has an option with the name of one that every protocol has.
type clashing struct{ session.Configurable }

func (clashing) Config() any {
	return &struct {
		Ports string `yaml:"ports" comment:"Others."`
	}{}
}

func TestOptionsDoNotClash(t *testing.T) {
	_, err := Load(Sources{Factories: []session.Factory{clashing{parsers.All()[0].(session.Configurable)}}})
	if want := "protocols.dns.ports: an option of the protocol's own has the name of one that every protocol has"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	c := Default(parsers.All()...)
	c.Publish.Servers = []string{"nats://me:hunter2@host:4222", "nats://t0ken@host"}
	text := string(AppendYAML(nil, c))
	if strings.Contains(text, "hunter2") || strings.Contains(text, "t0ken") || !strings.Contains(text, masked) {
		t.Error(text)
	}
}

// docs/configuration.md holds the defaults as they are written.
func TestDocs(t *testing.T) {
	const path, open, end = "../docs/configuration.md", "```yaml\n", "```\n"
	want := string(AppendDefaults(nil, Default(parsers.All()...)))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), open)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no block of yaml", path)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+open+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run go test ./config -run TestDocs -update:\n%s", diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(string(AppendDefaults(nil, Default(parsers.All()...))))
	f.Add("flow: {udp_idle: 1s, udp_idle: 2s}\n---\na: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default(parsers.All()...)
		in := &file{path: "c.yml"}
		in.apply(keysOf(c), []byte(text))
		_ = in.problems.Error()
	})
}
