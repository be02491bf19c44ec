package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/parsers/dns"
	"flowscope/parsers/ntp"
	"flowscope/parsers/snmp"
	"flowscope/parsers/syslog"
	"flowscope/session"
)

// liveRun captures on the loopback interface while talk lets programs talk to
// each other on a port, and returns the messages that flowscope reads.
func liveRun(t *testing.T, programs []string, talk func(ctx context.Context, dir, port string)) []*session.SessionEvent {
	t.Helper()
	for _, program := range append(programs, "tcpdump") {
		if _, err := exec.LookPath(program); err != nil {
			missingHere(t, err.Error())
		}
	}
	if os.Getuid() != 0 {
		missingHere(t, "capturing needs root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	port := strconv.Itoa(freePort(t))
	capture := filepath.Join(dir, "live.pcap")
	stop := startCapture(t, ctx, capture, "port "+port)
	talk(ctx, dir, port)
	stop()
	var messages []*session.SessionEvent
	for _, ev := range record(t, capture, 1).events {
		if ev.Type == session.Application {
			messages = append(messages, ev)
		}
	}
	return messages
}

// settled waits until a capture has not grown for a second in which its writer waited
// for packets, not for a processor or the disk: what was sent last is on its way to
// the file, for longer on a busy machine.
func settled(t *testing.T, capture string, writer *os.Process) {
	t.Helper()
	size, quiet := int64(-1), 0
	for range 600 {
		info, err := os.Stat(capture)
		if err != nil {
			t.Fatal(err)
		}
		if quiet++; info.Size() != size || !sleeps(writer) {
			size, quiet = info.Size(), 0
		}
		if quiet == 10 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s still grows", capture)
}

// sleeps says whether a process waits for something to happen (proc_pid_stat(5));
// where the system does not tell, it does.
func sleeps(p *os.Process) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(raw), ") ") // after the name
	return strings.HasPrefix(state, "S")
}

// daemon runs a program until the test ends.
func daemon(t *testing.T, ctx context.Context, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, said.String())
		}
	})
}

// says runs a program and returns what it prints, tried again until it succeeds:
// the daemon may not be there yet.
func says(t *testing.T, ctx context.Context, name string, args ...string) string {
	t.Helper()
	var printed []byte
	var err error
	for ctx.Err() == nil {
		if printed, err = exec.CommandContext(ctx, name, args...).CombinedOutput(); err == nil {
			return string(printed)
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("%s %v: %v: %s", name, args, err, printed)
	return ""
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLiveSNMP lets snmpget and snmpwalk ask snmpd in all versions, and compares
// the responses with what they print.
func TestLiveSNMP(t *testing.T) {
	const name = "probe.example.test"
	var printed []string
	messages := liveRun(t, []string{"snmpd", "snmpget", "snmpwalk"}, func(ctx context.Context, dir, port string) {
		conf := writeFile(t, dir, "snmpd.conf", "agentAddress udp:127.0.0.1:"+port+"\nrocommunity public\nsysName "+name+
			"\ncreateUser admin SHA authpass12 AES privpass12\nrouser admin noauth\n")
		daemon(t, ctx, []string{"SNMP_PERSISTENT_DIR=" + dir, "MIBS="}, "snmpd", "-f", "-Lo", "-C", "-c", conf, "-p", filepath.Join(dir, "pid"))
		target := "127.0.0.1:" + port
		for _, how := range [][]string{
			{"-v1", "-c", "public"},
			{"-v2c", "-c", "public"},
			{"-v3", "-u", "admin", "-l", "noAuthNoPriv"},
			{"-v3", "-u", "admin", "-l", "authNoPriv", "-a", "SHA", "-A", "authpass12"},
			{"-v3", "-u", "admin", "-l", "authPriv", "-a", "SHA", "-A", "authpass12", "-x", "AES", "-X", "privpass12"},
		} {
			args := slices.Concat([]string{"-m", "", "-On", "-t", "2"}, how, []string{target, ".1.3.6.1.2.1.1.5.0"})
			if out := says(t, ctx, "snmpget", args...); !strings.Contains(out, name) {
				t.Errorf("snmpget %v says %q", how, out)
			}
		}
		printed = strings.Split(strings.TrimSpace(says(t, ctx, "snmpwalk", "-m", "", "-On", "-v2c", "-c", "public", target, ".1.3.6.1.2.1.1.9.1.3")), "\n")
	})
	var names, encrypted int
	var walked []string
	for _, ev := range messages {
		switch m := ev.Message.(type) {
		case *snmp.Encrypted:
			encrypted++
		case *snmp.Response:
			if m.RTT == nil {
				t.Errorf("response %v has no round-trip time", *m.RequestID)
			}
			for _, v := range m.Varbinds {
				if v.OID == "1.3.6.1.2.1.1.5.0" && v.Value == name {
					names++
				}
				if strings.HasPrefix(v.OID, "1.3.6.1.2.1.1.9.1.3.") {
					walked = append(walked, fmt.Sprintf(".%s = STRING: %q", v.OID, v.Value))
				}
			}
		}
	}
	if names < 4 || encrypted < 2 {
		t.Errorf("%d responses in the clear name the host, %d messages are encrypted; want 4 and 2", names, encrypted)
	}
	if diff := cmp.Diff(printed, walked); diff != "" {
		t.Errorf("walk (-snmpwalk +flowscope):\n%s", diff)
	}
}

// TestLiveDNS lets dig ask unbound over TCP, several questions on one connection,
// and compares the responses with what it prints.
func TestLiveDNS(t *testing.T) {
	var printed string
	messages := liveRun(t, []string{"unbound", "dig"}, func(ctx context.Context, dir, port string) {
		conf := writeFile(t, dir, "unbound.conf", `server:
  directory: ""
  chroot: ""
  username: ""
  pidfile: "`+dir+`/pid"
  use-syslog: no
  interface: 127.0.0.1
  port: `+port+`
  do-daemonize: no
  edns-tcp-keepalive: yes
  module-config: "iterator"
  local-zone: "example.test." static
  local-data: "www.example.test. 300 IN A 192.0.2.1"
  local-data: "www.example.test. 300 IN AAAA 2001:db8::1"
  local-data: "example.test. 300 IN MX 10 mail.example.test."
  local-data: 'txt.example.test. 300 IN TXT "one two"'
remote-control:
  control-enable: no
`)
		daemon(t, ctx, nil, "unbound", "-d", "-c", conf)
		says(t, ctx, "dig", "@127.0.0.1", "-p", port, "+tries=1", "+timeout=1", "+notcp", "ready.example.test.")
		printed = says(t, ctx, "dig", "@127.0.0.1", "-p", port, "+tcp", "+keepopen", "+keepalive", "www.example.test.", "A", "www.example.test.", "AAAA",
			"example.test.", "MX", "txt.example.test.", "TXT", "none.example.test.", "A")
	})
	var want, got []string
	header := regexp.MustCompile(`status: (\w+), id: (\d+)`)
	for _, part := range strings.Split(printed, ";; ->>HEADER<<-")[1:] {
		h := header.FindStringSubmatch(part)
		line := h[2] + " " + h[1]
		_, answer, _ := strings.Cut(part, ";; ANSWER SECTION:\n")
		answer, _, _ = strings.Cut(answer, "\n\n")
		for _, rr := range strings.Split(answer, "\n") {
			if f := strings.Fields(rr); strings.Contains(part, "ANSWER SECTION") && len(f) > 4 {
				line += fmt.Sprintf(" %s %s %s", strings.TrimSuffix(f[0], "."), f[3], strings.TrimSuffix(strings.Join(f[4:], " "), "."))
			}
		}
		want = append(want, line)
	}
	for _, ev := range messages {
		m, ok := ev.Message.(*dns.Response)
		if !ok || ev.Flow.Transport.String() != "tcp" {
			continue
		}
		if m.RTT == nil {
			t.Errorf("response %d has no round-trip time", m.ID)
		}
		line := fmt.Sprintf("%d %s", m.ID, m.Rcode)
		for _, rr := range m.Answers {
			line += fmt.Sprintf(" %s %s %s", rr.Name, rr.Type, rr.Data)
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 5 {
		t.Errorf("%d responses (-dig +flowscope):\n%s", len(want), diff)
	}
}

// TestLiveNTP lets chronyd ask another chronyd.
func TestLiveNTP(t *testing.T) {
	messages := liveRun(t, []string{"chronyd"}, func(ctx context.Context, dir, port string) {
		conf := writeFile(t, dir, "chrony.conf", "port "+port+"\nbindaddress 127.0.0.1\nallow 127.0.0.0/8\nlocal stratum 5\ncmdport 0\npidfile "+dir+"/pid\n")
		daemon(t, ctx, nil, "chronyd", "-x", "-d", "-u", "root", "-f", conf)
		says(t, ctx, "chronyd", "-Q", "-x", "-u", "root", "-t", "8", "server 127.0.0.1 port "+port+" iburst maxsamples 1", "cmdport 0", "pidfile "+dir+"/pid2")
	})
	asked, answered := 0, 0
	for _, ev := range messages {
		switch m := ev.Message.(type) {
		case *ntp.Client:
			asked++
		case *ntp.Server:
			answered++
			// The source of a local clock is 127.127.1.1 (chrony's documentation, "local").
			if m.Stratum != 5 || m.RTT == nil || m.ReferenceID != "127.127.1.1" || m.OriginTime.IsZero() {
				t.Errorf("reply is %+v", m)
			}
		}
	}
	if asked == 0 || answered == 0 {
		t.Errorf("%d requests, %d replies", asked, answered)
	}
}

// TestLiveSyslog lets logger send in both formats, over UDP and in both framings
// over TCP, and compares with what it was told to send.
func TestLiveSyslog(t *testing.T) {
	messages := liveRun(t, []string{"logger"}, func(ctx context.Context, _, port string) {
		u, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
			}
		}()
		send := func(options ...string) {
			args := append([]string{"-n", "127.0.0.1", "-P", port, "-p", "local3.warning", "-t", "probe"}, options...)
			if out, err := exec.CommandContext(ctx, "logger", args...).CombinedOutput(); err != nil {
				t.Errorf("logger %v: %v: %s", args, err, out)
			}
		}
		send("-d", "--rfc5424", "--msgid", "M1", "--sd-id", "x@32473", "--sd-param", `a="b"`, "udp new")
		send("-d", "--rfc3164", "udp old")
		send("-T", "--rfc5424", "tcp new")
		send("-T", "--rfc3164", "tcp old")
		send("-T", "--octet-count", "--rfc5424", "counted new")
		send("-T", "--octet-count", "--rfc3164", "counted old")
	})
	var got []string
	for _, ev := range messages {
		m, ok := ev.Message.(*syslog.Message)
		if !ok {
			continue
		}
		if m.Timestamp == "" || m.Hostname == "" {
			t.Errorf("%q has no time or no host", m.Text)
		}
		got = append(got, strings.Join([]string{ev.Flow.Transport.String(), m.Format, m.Facility, m.Severity, m.AppName, m.Text}, " "))
		if m.Text == "udp new" {
			element := syslog.Element{ID: "x@32473", Params: []syslog.Param{{Name: "a", Value: "b"}}}
			if m.MsgID != "M1" || len(m.StructuredData) == 0 || !cmp.Equal(m.StructuredData[len(m.StructuredData)-1], element) {
				t.Errorf("message id %q, structured data %v", m.MsgID, m.StructuredData)
			}
		}
	}
	want := []string{
		"udp rfc5424 local3 warning probe udp new", "udp rfc3164 local3 warning probe udp old", "tcp rfc5424 local3 warning probe tcp new",
		"tcp rfc3164 local3 warning probe tcp old", "tcp rfc5424 local3 warning probe counted new", "tcp rfc3164 local3 warning probe counted old",
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-logger +flowscope)\n%s", diff)
	}
}
