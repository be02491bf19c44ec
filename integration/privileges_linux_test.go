package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// readDeploy is a file that tells how the sensor is started.
func readDeploy(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting is what stands behind a key of the unit.
func setting(t *testing.T, unit, key string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit has no %s", key)
	}
	return m[1]
}

// only is a set of capabilities in the words of setpriv: all but these are dropped.
func only(names string) string {
	set := "-all"
	for _, name := range regexp.MustCompile(`[A-Z_]+`).FindAllString(names, -1) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	return set
}

// unitPrivileges starts a command as the unit does, with nobody for its user.
func unitPrivileges(t *testing.T) []string {
	unit := readDeploy(t, "deploy/systemd/flowscope.service")
	if user := setting(t, unit, "User"); user == "root" {
		t.Fatal("the unit's user is root")
	}
	ambient := only(setting(t, unit, "AmbientCapabilities"))
	return []string{
		"setpriv", fmt.Sprintf("--reuid=%d", nobody), fmt.Sprintf("--regid=%d", nobody), "--clear-groups", "--no-new-privs",
		"--inh-caps=" + ambient, "--ambient-caps=" + ambient, "--bounding-set=" + only(setting(t, unit, "CapabilityBoundingSet")),
	}
}

// composePrivileges starts a command as docker-compose.yml does: as root with what it adds.
func composePrivileges(t *testing.T) []string {
	m := regexp.MustCompile(`cap_drop: \["ALL"\]\n\s*cap_add: \[(.*)\]`).FindStringSubmatch(readDeploy(t, "docker-compose.yml"))
	if m == nil {
		t.Fatal("docker-compose.yml drops and adds no capabilities")
	}
	return []string{"setpriv", "--inh-caps=-all", "--no-new-privs", "--bounding-set=" + only(m[1])}
}

// TestPrivileges captures with exactly the privileges that the files under deploy and
// docker-compose.yml give, into the embedded store, as a user other than root, twice
// with one store.
func TestPrivileges(t *testing.T) {
	s := newSite(t, "setpriv")
	s.servers()
	const becomes = "security: {user: \"65534\"}\n"
	tests := []struct {
		name   string
		how    []string
		more   string
		parent int // the owner of the folder that the store is in
		store  int // of the store, -1 for one that is not there yet
	}{
		{"unit", unitPrivileges(t), "", 0, nobody},
		{"unit, the user by name, too", unitPrivileges(t), becomes, 0, nobody},
		{"compose, store of the user", composePrivileges(t), becomes, 0, nobody},
		{"compose, no store yet", composePrivileges(t), becomes, nobody, -1},
		{"all of root, no store yet", nil, becomes, 0, -1},
		{"all of root, store of root", nil, becomes, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			passable(t, dir)
			store, file := filepath.Join(dir, "store"), filepath.Join(dir, "run.yml")
			if tt.store >= 0 {
				mkdirFor(t, store, tt.store)
			}
			if err := os.Chown(dir, tt.parent, tt.parent); err != nil {
				t.Fatal(err)
			}
			text := "sensor: {name: test}\nmonitor: {listen: \"\"}\npublish: {embedded: {store: \"" + store + "\"}}\n" + tt.more
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				run := start(t, in(s.near, append(tt.how, flowscope(t), "run", "--config", file, "--iface", "n0")...), "msg=confined")
				checkConfined(t, run.cmd.Process.Pid, fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", nobody))
				s.visit(t)
				if status := run.stop(); status != 130 {
					t.Fatalf("status %d:\n%s", status, run.log)
				}
			}
			if tt.how != nil { // nothing is root's
				out, err := exec.Command("find", store, "!", "-uid", fmt.Sprint(nobody)).CombinedOutput()
				if err != nil || len(out) > 0 {
					t.Errorf("%v: not of the user:\n%s", err, out)
				}
			}
			queries := 0
			for _, e := range events(t, store, "flowscope.dns.query") {
				if e["kind"] == "query" {
					queries++
				}
			}
			if queries != 2 {
				t.Errorf("%d queries of 2", queries)
			}
			lastLedger(t, store)
		})
	}
}

func mkdirFor(t *testing.T, dir string, owner int) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, owner, owner); err != nil {
		t.Fatal(err)
	}
}

// TestLoginOfRoot does not start with a login that could not be read for the next
// connection, because the user that the process becomes may not; with one of that
// user's group it does.
func TestLoginOfRoot(t *testing.T) {
	s := newSite(t, "setpriv")
	dir := t.TempDir()
	passable(t, dir)
	token, file := filepath.Join(dir, "token"), filepath.Join(dir, "run.yml")
	text := "sensor: {name: test}\nmonitor: {listen: \"\"}\nsecurity: {user: \"65534\"}\n" +
		"publish: {servers: [\"nats://127.0.0.1:4224\"], drain_timeout: 1s, auth: {token_file: \"" + token + "\"}}\n"
	for name, content := range map[string]string{token: "s3cret\n", file: text} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	command := in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0")
	out, err := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code != 1 ||
		!strings.Contains(string(out), "open "+token+": permission denied: let security.user 65534 read it") {
		t.Errorf("status %d, %v:\n%s", code, err, out)
	}
	if err := errors.Join(os.Chown(token, 0, nobody), os.Chmod(token, 0o640)); err != nil {
		t.Fatal(err)
	}
	start(t, in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0"), "msg=confined").stop()
}

// TestStoreOfAnother names what to do with a store that cannot be the user's.
func TestStoreOfAnother(t *testing.T) {
	s := newSite(t, "setpriv")
	dir := t.TempDir()
	passable(t, dir)
	store, file := filepath.Join(dir, "store"), filepath.Join(dir, "run.yml")
	mkdirFor(t, store, 0)
	if err := os.WriteFile(file, []byte("monitor: {listen: \"\"}\npublish: {embedded: {store: "+store+"}}\nsecurity: {user: \"65534\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := in(s.near, append(composePrivileges(t), flowscope(t), "run", "--config", file, "--iface", "n0")...).CombinedOutput()
	if want := "chown -R 65534:65534 " + store; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, want %q:\n%s", err, want, out)
	}
}

// TestStoreWithALink has a file in the store that is root's and has a name elsewhere, or
// is none of a store: it is not given away.
func TestStoreWithALink(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	passable(t, dir)
	store, file, secret := filepath.Join(dir, "store"), filepath.Join(dir, "run.yml"), filepath.Join(dir, "secret")
	mkdirFor(t, store, nobody)
	for path, text := range map[string]string{
		secret: "x", file: "monitor: {listen: \"\"}\npublish: {embedded: {store: " + store + "}}\nsecurity: {user: \"65534\"}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		out, err := in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0").CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, want %q:\n%s", err, want, out)
		}
		if info, err := os.Stat(secret); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("the file is not root's any more: %v", err)
		}
	}
	mkdirFor(t, filepath.Join(store, "jetstream"), nobody)
	planted := filepath.Join(store, "jetstream", "planted")
	if err := os.Link(secret, planted); err != nil {
		t.Fatal(err)
	}
	refused(planted + " is another's and has other names")
	// In a folder of other things nothing is given away.
	if err := os.Remove(planted); err != nil {
		t.Fatal(err)
	}
	secret = filepath.Join(store, "other")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(secret + " is not of a store")
}

// TestStoreOutOfReach has a store that is the user's, in a folder that is closed to it.
func TestStoreOutOfReach(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	passable(t, dir)
	closed, file := filepath.Join(dir, "closed"), filepath.Join(dir, "run.yml")
	mkdirFor(t, closed, 0)
	store := filepath.Join(closed, "store")
	if err := os.WriteFile(file, []byte("monitor: {listen: \"\"}\npublish: {embedded: {store: "+store+"}}\nsecurity: {user: \"65534\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0").CombinedOutput()
	if want := "publish.embedded.store: user 65534 (security.user) does not get there"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, want %q:\n%s", err, want, out)
	}
}

// TestNoTemporaryStoreIsLeft fails at the interface, when the store is there already.
func TestNoTemporaryStoreIsLeft(t *testing.T) {
	s := newSite(t, "setpriv")
	dir := t.TempDir()
	passable(t, dir)
	file, temporary := filepath.Join(dir, "run.yml"), filepath.Join(dir, "tmp")
	mkdirFor(t, temporary, nobody)
	if err := os.WriteFile(file, []byte("monitor: {listen: \"\"}\nsecurity: {user: \"65534\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string][]string{"all of root": nil, "compose": composePrivileges(t)} {
		cmd := in(s.near, append(how, flowscope(t), "run", "--config", file, "--iface", "none")...)
		cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "none") {
			t.Errorf("%s: %v:\n%s", name, err, out)
		}
		left, err := os.ReadDir(temporary)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v:\n%s", name, left, err, out)
		}
	}
}

// TestUnitInstalls looks whether what the unit's header installs is there and right.
func TestUnitInstalls(t *testing.T) {
	unit := readDeploy(t, "deploy/systemd/flowscope.service")
	installs := regexp.MustCompile(`(?m)^#   install .* (\S+) (\S+)$`).FindAllStringSubmatch(unit, -1)
	targets := map[string]string{}
	for _, m := range installs {
		readDeploy(t, m[1])
		targets[m[2]] = m[1]
	}
	command := strings.Fields(setting(t, unit, "ExecStart"))
	if !strings.Contains(unit, "-o "+command[0]+" ./cmd/flowscope\n") {
		t.Errorf("the header does not build %s", command[0])
	}
	config := targets[command[len(command)-1]]
	if config == "" {
		t.Fatalf("%s is not installed: %v", command[len(command)-1], targets)
	}
	if store := "/var/lib/" + setting(t, unit, "StateDirectory"); !strings.Contains(readDeploy(t, config), "store: "+store+"\n") {
		t.Errorf("%s does not name %s", config, store)
	}
	out, err := exec.Command(flowscope(t), "config", "check", filepath.Join(moduleRoot, config)).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
