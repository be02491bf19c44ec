//go:build amd64 || arm64

package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// nobody is a user by number, whether or not the system knows it.
const nobody = 65534

// confined is what the child tells of itself.
type confined struct {
	Report Report
	// Refused are the errors of what must not work, Needed of what must.
	Refused, Needed map[string]string
}

// TestMain runs the child in the program that the test builds without cgo.
func TestMain(m *testing.M) {
	if folder := os.Getenv("SANDBOX_CHILD"); folder != "" {
		if err := child(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child enters the sandbox, tries things, reports, and waits to be looked at.
func child(folder string) error {
	ready := make(chan struct{})
	for range 4 { // threads from before
		go func() {
			runtime.LockOSThread()
			ready <- struct{}{}
			select {}
		}()
		<-ready
	}
	if os.Getenv("SANDBOX_HALF") != "" { // as a set-uid program is started
		if err := firstError(syscall.Setresgid(nobody, 0, 0), syscall.Setresuid(nobody, 0, 0)); err != nil {
			return err
		}
	}
	report, err := Enter(Policy{
		User: os.Getenv("SANDBOX_USER"),
		Read: []string{filepath.Join(folder, "read")}, Write: []string{filepath.Join(folder, "write")},
	})
	if err != nil {
		return err
	}
	go func() { // and one from after
		runtime.LockOSThread()
		ready <- struct{}{}
		select {}
	}()
	<-ready
	out := confined{Report: report, Refused: map[string]string{}, Needed: map[string]string{}}
	for name, try := range refused(folder) {
		out.Refused[name] = fmt.Sprint(try())
	}
	for name, try := range needed(folder) {
		out.Needed[name] = fmt.Sprint(try())
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err = bufio.NewReader(os.Stdin).ReadByte()
	return err
}

func refused(folder string) map[string]func() error {
	open := func(path string, flags int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flags, 0o600)
			if err == nil {
				f.Close()
			}
			return err
		}
	}
	socket := func(family, kind, proto int) func() error {
		return func() error {
			fd, err := unix.Socket(family, kind, proto)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}
	}
	return map[string]func() error{
		"raw socket":     socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		"packet socket":  socket(unix.AF_PACKET, unix.SOCK_RAW, 0),
		"netlink socket": socket(unix.AF_NETLINK, unix.SOCK_RAW, 0),
		"/etc/shadow":    open("/etc/shadow", os.O_RDONLY),
		"read":           open(filepath.Join(folder, "other", "f"), os.O_RDONLY),
		"write":          open(filepath.Join(folder, "read", "new"), os.O_CREATE|os.O_WRONLY),
		"exec":           func() error { return exec.Command("/bin/true").Run() },
		"execve":         func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
		"setuid":         func() error { return firstError(unix.Setuid(0), unix.Setuid(12345)) },
		"mount":          func() error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") },
		"ptrace":         func() error { return unix.PtraceAttach(os.Getppid()) },
		"kill":           func() error { return unix.Kill(os.Getppid(), 0) },
		"executable memory": func() error {
			b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err == nil {
				unix.Munmap(b)
			}
			return err
		},
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func needed(folder string) map[string]func() error {
	return map[string]func() error{
		"read": func() error { _, err := os.ReadFile(filepath.Join(folder, "read", "f")); return err },
		"write, rename, remove": func() error {
			name := filepath.Join(folder, "write", "sub", "f")
			return errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("x"), 0o600),
				os.Rename(name, name+"2"), os.Remove(name+"2"))
		},
		"own statistics": func() error { _, err := os.ReadFile("/proc/self/status"); return err },
		"talk": func() error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer l.Close()
			go func() {
				if c, err := l.Accept(); err == nil {
					c.Write([]byte("x"))
					c.Close()
				}
			}()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Read(make([]byte, 1))
			return err
		},
		"threads and time": func() error {
			done := make(chan bool)
			for range 8 {
				go func() { runtime.LockOSThread(); time.Sleep(time.Millisecond); done <- true }()
			}
			for range 8 {
				<-done
			}
			runtime.GC()
			return nil
		},
	}
}

// buildChild builds this test without cgo: that is how the program is shipped.
func buildChild(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "child")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the child: %v\n%s", err, out)
	}
	return program
}

func startChild(t *testing.T, program, user string, env ...string) (*exec.Cmd, confined) {
	t.Helper()
	folder := t.TempDir()
	for _, sub := range []string{"read", "write", "other"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, sub, "f"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	openUp(t, folder)
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), "SANDBOX_CHILD="+folder, "SANDBOX_USER="+user), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fmt.Fprintln(in)
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v\n%s", err, stderr.String())
		}
	})
	var c confined
	if err := json.NewDecoder(out).Decode(&c); err != nil {
		t.Fatalf("child says nothing: %v\n%s", err, stderr.String())
	}
	return cmd, c
}

// openUp lets another user reach the folder.
func openUp(t *testing.T, folder string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	for dir := folder; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(folder, "write"), 0o777); err != nil {
		t.Fatal(err)
	}
}

// The threads are looked at from outside, in /proc.
func TestEveryThreadIsConfined(t *testing.T) {
	program := buildChild(t)
	users := map[string]string{"the same user": ""}
	if os.Getuid() == 0 {
		users["nobody"] = "nobody"
	}
	for name, user := range users {
		t.Run(name, func(t *testing.T) {
			cmd, c := startChild(t, program, user)
			for what, err := range c.Refused {
				if !strings.Contains(err, "permitted") && !strings.Contains(err, "denied") {
					t.Errorf("%s: %s, want a refusal", what, err)
				}
			}
			for what, err := range c.Needed {
				if err != "<nil>" {
					t.Errorf("%s: %s", what, err)
				}
			}
			if c.Report.Landlock == 0 {
				t.Errorf("no Landlock: %v", c.Report)
			}
			tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", cmd.Process.Pid))
			if err != nil || len(tasks) < 5 {
				t.Fatalf("%d threads: %v", len(tasks), err)
			}
			for _, task := range tasks {
				checkThread(t, task, user != "")
			}
		})
	}
}

func checkThread(t *testing.T, task string, other bool) {
	t.Helper()
	raw, err := os.ReadFile(task)
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			status[key] = strings.TrimSpace(value)
		}
	}
	want := map[string]string{"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
	if os.Getuid() == 0 {
		want["CapBnd"] = "0000000000000000"
	}
	if other {
		want["Groups"] = ""
	}
	for key, value := range want {
		if status[key] != value {
			t.Errorf("%s: %s is %q, want %q", task, key, status[key], value)
		}
	}
	if other && strings.HasPrefix(status["Uid"], "0\t") {
		t.Errorf("%s: uid is %s", task, status["Uid"])
	}
}

// Whoever is the wanted user in part only becomes it wholly.
func TestHalfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("to change the user takes root")
	}
	cmd, c := startChild(t, buildChild(t), fmt.Sprint(nobody), "SANDBOX_HALF=yes")
	if c.Report.UID != nobody {
		t.Errorf("%v", c.Report)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"Uid:", "Gid:"} {
		if want := who + strings.Repeat(fmt.Sprintf("\t%d", nobody), 4) + "\n"; !strings.Contains(string(raw), want) {
			t.Errorf("want %q in\n%s", want, raw)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		user string
		uid  int
	}{{"65534", 65534}, {"4294967294", 4294967294}, {"123456", 123456}} {
		uid, gid, err := Lookup(tt.user)
		if err != nil || uid != tt.uid || gid != tt.uid {
			t.Errorf("%s: %d, %d, %v", tt.user, uid, gid, err)
		}
	}
	for user, want := range map[string]string{
		"no-such-user": "no user of this system has that name",
		"4294967295":   "it is no number from 1 to 4294967294", // setresuid(-1) changes nothing
		"4294967296":   "it is no number",                      // 0 in the 32 bits of an id
		"99999999999":  "it is no number",
		"-2":           "it is no number",
		"0":            "is root",
		"root":         "is root",
	} {
		if uid, gid, err := Lookup(user); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), user) {
			t.Errorf("%s: %d, %d, %v, want %q", user, uid, gid, err, want)
		}
	}
}

// A build with cgo has threads that are out of reach: it must say so.
func TestCgo(t *testing.T) {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errno == 0 {
		t.Skip("built without cgo: there is nothing to refuse")
	}
	if _, err := Enter(Policy{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("error is %v", err)
	}
}

// The filter is run in an interpreter: every call is allowed, refused or looked
// into as listed, whatever its number.
func TestFilter(t *testing.T) {
	vm, err := bpf.NewVM(filterProgram())
	if err != nil {
		t.Fatal(err)
	}
	inspected := []uint32{unix.SYS_CLONE, unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_SOCKET, unix.SYS_CLONE3}
	for n := range uint32(512) {
		if slices.Contains(inspected, n) {
			continue
		}
		want := retEPERM
		if slices.Contains(allowed, n) || slices.Contains(allowedHere, n) {
			want = retAllow
		}
		if got := run(t, vm, auditArch, n, 0, 0, 0); got != uint32(want) {
			t.Errorf("call %d gives %#x, want %#x", n, got, want)
		}
	}
	for _, tt := range []struct {
		name string
		arch uint32
		call uint32
		args [3]uint32
		want uint32
	}{
		{"other architecture", auditArch ^ 1, unix.SYS_READ, [3]uint32{}, retKill},
		{"thread", auditArch, unix.SYS_CLONE, [3]uint32{unix.CLONE_THREAD | unix.CLONE_VM}, retAllow},
		{"process", auditArch, unix.SYS_CLONE, [3]uint32{uint32(unix.SIGCHLD)}, retEPERM},
		{"clone3", auditArch, unix.SYS_CLONE3, [3]uint32{}, retENOSYS},
		{"memory", auditArch, unix.SYS_MMAP, [3]uint32{0, 0, unix.PROT_READ | unix.PROT_WRITE}, retAllow},
		{"executable memory", auditArch, unix.SYS_MMAP, [3]uint32{0, 0, unix.PROT_EXEC | unix.PROT_READ}, retEPERM},
		{"made executable", auditArch, unix.SYS_MPROTECT, [3]uint32{0, 0, unix.PROT_EXEC}, retEPERM},
		{"tcp", auditArch, unix.SYS_SOCKET, [3]uint32{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, retAllow},
		{"udp over IPv6", auditArch, unix.SYS_SOCKET, [3]uint32{unix.AF_INET6, unix.SOCK_DGRAM}, retAllow},
		{"raw", auditArch, unix.SYS_SOCKET, [3]uint32{unix.AF_INET, unix.SOCK_RAW}, retEPERM},
		{"packet", auditArch, unix.SYS_SOCKET, [3]uint32{unix.AF_PACKET, unix.SOCK_DGRAM}, retEPERM},
	} {
		if got := run(t, vm, tt.arch, tt.call, tt.args[0], tt.args[1], tt.args[2]); got != tt.want {
			t.Errorf("%s gives %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// run interprets the filter over a struct seccomp_data, whose words the
// interpreter reads in network order.
func run(t *testing.T, vm *bpf.VM, arch, call, arg0, arg1, arg2 uint32) uint32 {
	t.Helper()
	data := make([]byte, 64)
	put := func(off int, v uint32) {
		data[off], data[off+1], data[off+2], data[off+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	put(dataNumber, call)
	put(dataArch, arch)
	put(dataArg0, arg0)
	put(dataArg1, arg1)
	put(dataArg2, arg2)
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

func TestToReadAgain(t *testing.T) {
	for file, want := range map[string]string{
		"/etc/flowscope/flowscope.yml": "/etc/flowscope",
		"/etc/flowscope.yml":           "/etc/flowscope.yml",
		"/flowscope.yml":               "/flowscope.yml",
		"/srv/sensor/f.yml":            "/srv/sensor",
	} {
		if got := ToReadAgain(file); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
	dir := t.TempDir() // as certbot has it
	live, archive := filepath.Join(dir, "live", "host"), filepath.Join(dir, "archive", "host")
	for _, d := range []string{live, archive} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(archive, "cert1.pem"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(live, "cert.pem")
	if err := os.Symlink("../../archive/host/cert1.pem", link); err != nil {
		t.Fatal(err)
	}
	if got := ToReadAgain(link); !slices.Equal(got, []string{live, archive}) {
		t.Errorf("%s: %s, want %s and %s", link, got, live, archive)
	}
}
