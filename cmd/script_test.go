package cmd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"flowscope/parsers"
)

// exitLeak is the status of a command that leaves goroutines behind.
const exitLeak = 99

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flowscope": func() {
		code := Main(parsers.All()...)
		if err := leaks(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = exitLeak
		}
		os.Exit(code)
	}})
}

// leaks finds goroutines that are left behind. On a busy machine those of servers and
// connections take their time to end: they have ten seconds.
func leaks() (err error) {
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		if err = goleak.Find(); err == nil {
			return nil
		}
	}
	return err
}

// TestScripts runs testdata/script; the commands that the scripts have beside the
// usual ones are those below.
func TestScripts(t *testing.T) {
	repo, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPO", repo)
			env.Setenv("CAPTURES", filepath.Join(repo, "integration", "testdata"))
			env.Setenv("TMPDIR", env.Getenv("WORK")+"/tmp")
			return os.MkdirAll(filepath.Join(env.Getenv("WORK"), "tmp"), 0o700)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"head":     head,
			"truncate": truncate,
			"linktype": linktype,
			"snap":     snap,
			"tmpfs":    tmpfs,
			"freeport": freeport,
			"await":    await,
		},
	})
}

// exits STATUS COMMAND… runs a command that must end with a status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// head N COMMAND… runs a command, reads N lines of its output and no more, and
// wants it to end well and silently.
func head(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: head N COMMAND [ARG]...")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	if err != nil {
		path = filepath.Join(firstOf(ts.Getenv("PATH")), args[1])
	}
	c := exec.Command(path, args[2:]...)
	c.Dir, c.Env = ts.Getenv("WORK"), environOf(ts)
	var stderr strings.Builder
	c.Stderr = &stderr
	r, w, err := os.Pipe()
	ts.Check(err)
	c.Stdout = w
	ts.Check(c.Start())
	w.Close()
	lines := bufio.NewReader(r)
	for range n {
		_, err := lines.ReadString('\n')
		ts.Check(err)
	}
	r.Close()
	if err := c.Wait(); err != nil || stderr.Len() > 0 {
		ts.Fatalf("%v, standard error: %s", err, stderr.String())
	}
}

func firstOf(path string) string { return filepath.SplitList(path)[0] }

// environOf is what a command is given: the copy of this program looks at its own
// name only.
func environOf(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "WORK"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// truncate FILE N COPY writes the first N bytes of a file.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b[:n], 0o644))
}

// linktype FILE N COPY writes a pcap file with another link type.
func linktype(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseUint(args[1], 10, 32)
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	binary.LittleEndian.PutUint32(b[20:], uint32(n))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o644))
}

// snap FILE N COPY writes a pcap file of which at most N bytes of each packet are
// left, as tcpdump -s N does.
func snap(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	out := append([]byte(nil), b[:24]...)
	binary.LittleEndian.PutUint32(out[16:], uint32(n))
	for b = b[24:]; len(b) > 0; {
		captured := int(binary.LittleEndian.Uint32(b[8:]))
		kept := min(captured, n)
		record := append([]byte(nil), b[:16+kept]...)
		binary.LittleEndian.PutUint32(record[8:], uint32(kept))
		out = append(out, record...)
		b = b[16+captured:]
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), out, 0o644))
}

// tmpfs DIR SIZE mounts a small file system until the script is over.
func tmpfs(ts *testscript.TestScript, _ bool, args []string) {
	if runtime.GOOS != "linux" {
		ts.Fatalf("tmpfs needs Linux")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+args[1], "tmpfs", dir).CombinedOutput(); err != nil {
		ts.Fatalf("mount: %v: %s", err, out)
	}
	ts.Defer(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			ts.Logf("umount: %v: %s", err, out)
		}
	})
}

// freeport NAME sets a variable to the number of a port that nobody listens at. It
// lies below those that systems give to whoever asks for any (from 32768 on under
// Linux, from 49152 on elsewhere): no connection takes it before a server binds it.
func freeport(ts *testscript.TestScript, _ bool, args []string) {
	const first, end = 20_000, 32_000
	for range 1000 {
		port := strconv.Itoa(first + rand.IntN(end-first))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ts.Check(l.Close())
			ts.Setenv(args[0], port)
			return
		}
	}
	ts.Fatalf("no free port from %d to %d", first, end-1)
}

// await FIFO TEXT reads a pipe with a name until a line holds the text, and
// goes on reading behind the script's back, so that the writer never waits.
func await(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { f.Close() })
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			ts.Fatalf("%q never came: %v", args[1], err)
		}
		if strings.Contains(line, args[1]) {
			break
		}
	}
	go io.Copy(io.Discard, lines)
}
