package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flowscope/parsers/http"
)

// nginxLine is a line of nginx's access log, in the format that nginxFormat asks
// for.
type nginxLine struct {
	Depth            uint32 `json:"depth"`
	Client           string `json:"client"`
	ClientPort       uint16 `json:"client_port"`
	ServerPort       uint16 `json:"server_port"`
	Method           string `json:"method"`
	Target           string `json:"target"`
	Version          string `json:"version"`
	Host             string `json:"host"`
	UserAgent        string `json:"user_agent"`
	Referer          string `json:"referer"`
	RequestType      string `json:"request_content_type"`
	RequestLength    string `json:"request_body"`
	Status           uint16 `json:"status"`
	BodySize         uint64 `json:"body_size"`
	ContentType      string `json:"content_type"`
	Location         string `json:"location"`
	TransferEncoding string `json:"transfer_encoding"`
}

const nginxFormat = `'{"depth":$connection_requests,"client":"$remote_addr","client_port":$remote_port,"server_port":$server_port,'
'"method":"$request_method","target":"$request_uri","version":"$server_protocol","host":"$http_host","user_agent":"$http_user_agent",'
'"referer":"$http_referer","request_content_type":"$content_type","request_body":"$content_length","status":$status,'
'"body_size":$body_bytes_sent,"content_type":"$sent_http_content_type","location":"$sent_http_location",'
'"transfer_encoding":"$sent_http_transfer_encoding"}'`

func nginxLines(t *testing.T, path string) (lines []nginxLine) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var line nginxLine
		if err := json.Unmarshal(l, &line); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// compareNginx holds that the exchanges with a server are those in its log, no
// more and no fewer.
func compareNginx(t *testing.T, exchanges []*httpExchange, lines []nginxLine) {
	t.Helper()
	left := slices.Clone(exchanges)
	for _, l := range lines {
		i := slices.IndexFunc(left, func(x *httpExchange) bool {
			return x.clientAddr().Port() == l.ClientPort && x.serverAddr().Port() == l.ServerPort && x.depth() == l.Depth
		})
		if i < 0 {
			t.Errorf("exchange %d of port %d is missing: %s %s", l.Depth, l.ClientPort, l.Method, l.Target)
			continue
		}
		x := left[i]
		left = slices.Delete(left, i, i+1)
		if x.request == nil || x.response == nil {
			t.Errorf("exchange %d of port %d is half: %+v %+v", l.Depth, l.ClientPort, x.request, x.response)
			continue
		}
		var d differences
		q, r := x.request, x.response
		d.check("method", q.Method, l.Method)
		d.check("target", q.Target, l.Target)
		d.check("version", q.Version, l.Version)
		d.check("host", q.Host, l.Host)
		d.check("user_agent", q.UserAgent, l.UserAgent)
		d.check("referer", q.Referer, l.Referer)
		d.check("content_type of the request", q.ContentType, l.RequestType)
		if l.RequestLength != "" {
			d.check("body_size of the request", q.BodySize, l.RequestLength)
		}
		d.check("status", r.Status, l.Status)
		d.check("content_type", r.ContentType, l.ContentType)
		d.check("location", r.Location, l.Location)
		d.check("request.target", r.Request.Target, l.Target)
		if l.TransferEncoding == "" {
			// To nginx 100 Continue is part of what it sent after the head.
			const interim = "HTTP/1.1 100 Continue\r\n\r\n"
			d.check("body_size", r.BodySize+uint64(len(interim)*len(r.Interim)), l.BodySize)
		} else if r.BodySize >= l.BodySize { // which has the chunks' framing in it
			d = append(d, fmt.Sprintf("body_size: we say %d, with framing it is %d", r.BodySize, l.BodySize))
		}
		if r.Elapsed == nil || *r.Elapsed <= 0 {
			d = append(d, "elapsed_ns is missing")
		}
		if len(d) > 0 {
			t.Errorf("exchange %d of port %d:\n\t%s", l.Depth, l.ClientPort, strings.Join(d, "\n\t"))
		}
	}
	for _, x := range left {
		t.Errorf("an exchange that is not in the log: %+v %+v", x.req(), x.resp())
	}
}

// TestHTTPRecording compares our own recording of curl and nginx with nginx's log.
func TestHTTPRecording(t *testing.T) {
	rec := record(t, "testdata/http.pcap", 1)
	compareNginx(t, httpExchanges(rec), nginxLines(t, "testdata/http.facts.jsonl"))
	secrets := 0
	for _, payload := range rec.payloads {
		for _, secret := range []string{"abc123", "YWxpY2U6d29uZGVybGFuZA=="} { // the cookie, the login in base64
			if strings.Contains(payload, secret) {
				t.Errorf("an event has %q in it: %q", secret, payload)
			}
		}
		secrets += strings.Count(payload, "[redacted]")
	}
	if secrets == 0 {
		t.Error("nothing was redacted")
	}
}

// TestHTTPLive lets curl and a client of our own talk to nginx on the loopback
// interface, and compares what tcpdump captured with what nginx and curl say.
func TestHTTPLive(t *testing.T) {
	for _, program := range []string{"nginx", "curl", "tcpdump"} {
		if _, err := exec.LookPath(program); err != nil {
			missingProgram(t, program)
		}
	}
	folder := t.TempDir()
	port := freePort(t)
	capture := filepath.Join(folder, "live.pcap")
	stopCapture := startTcpdump(t, capture, port)
	stopServer := startNginx(t, folder, port)
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	sizes := map[string]string{} // by target, as curl says
	for _, args := range [][]string{
		{base + "/", base + "/page.html?a=b%20c", base + "/missing", base + "/blob.bin"}, // keep-alive
		{"-H", "Accept-Encoding: gzip", base + "/page.html?gzip"},                        // chunked
		{"-I", base + "/blob.bin?head"},
		{"-r", "100-299", base + "/blob.bin?range"},
		{"-0", base + "/blob.bin?old"},
		{"-d", "name=value", base + "/stored?form"},
		{"-H", "Transfer-Encoding: chunked", "--data-binary", "@" + filepath.Join(folder, "www", "page.html"), base + "/stored?chunked"},
		{"-H", "Expect: 100-continue", "--data-binary", "@" + filepath.Join(folder, "www", "blob.bin"), base + "/stored?continue"},
		{"-u", "alice:wonderland", "-b", "session=abc123", "-e", "http://elsewhere.test/", "-A", "own/1.0", base + "/page.html?secrets"},
	} {
		var outputs []string
		for _, a := range args {
			if strings.HasPrefix(a, base) {
				outputs = append(outputs, "-o", os.DevNull)
			}
		}
		args = append(append([]string{"-sS", "--max-time", "30", "-w", "%{url_effective} %{http_code} %{size_download}\n"}, outputs...), args...)
		printed, err := exec.CommandContext(t.Context(), "curl", args...).Output()
		if err != nil {
			t.Fatalf("curl %q: %v", args, err)
		}
		for line := range strings.Lines(string(printed)) {
			url, said, _ := strings.Cut(strings.TrimSpace(line), " ")
			sizes[strings.TrimPrefix(url, base)] = said
		}
	}
	pipeline(t, port)
	stopServer()
	stopCapture()
	exchanges := httpExchanges(record(t, capture, 1))
	compareNginx(t, exchanges, nginxLines(t, filepath.Join(folder, "access.log")))
	for target, want := range sizes {
		i := slices.IndexFunc(exchanges, func(x *httpExchange) bool { return x.req().Target == target })
		if i < 0 {
			t.Errorf("curl fetched %s, there is no such exchange", target)
			continue
		}
		if r := exchanges[i].resp(); fmt.Sprintf("%d %d", r.Status, r.BodySize) != want {
			t.Errorf("%s: curl says %s, we %d %d", target, want, r.Status, r.BodySize)
		}
	}
	if i := slices.IndexFunc(exchanges, func(x *httpExchange) bool { return x.req().Target == "/stored?continue" }); i >= 0 {
		if got := exchanges[i].resp().Interim; !slices.ContainsFunc(got, func(i http.Interim) bool { return i.Status == 100 }) {
			t.Errorf("no 100 Continue among %v", got)
		}
	}
	t.Logf("%d exchanges compared with nginx, %d with curl", len(exchanges), len(sizes))
}

// pipeline sends ten requests at once, cut at odd places, and reads until the
// server has closed.
func pipeline(t *testing.T, port int) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	var b bytes.Buffer
	for i := range 9 {
		method := "GET"
		if i == 4 {
			method = "HEAD"
		}
		fmt.Fprintf(&b, "%s /blob.bin?pipelined=%d HTTP/1.1\r\nHost: h\r\n\r\n", method, i)
	}
	b.WriteString("GET /missing?last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	for b.Len() > 0 {
		if _, err := conn.Write(b.Next(70)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := new(bytes.Buffer).ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
}

// startNginx serves some files and takes uploads; the log stands in folder.
func startNginx(t *testing.T, folder string, port int) (stop func()) {
	t.Helper()
	www := filepath.Join(folder, "www")
	for _, d := range []string{www, filepath.Join(folder, "tmp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{
		filepath.Join(www, "index.html"): []byte("<p>index</p>\n"),
		filepath.Join(www, "page.html"):  bytes.Repeat([]byte("<p>a line of a page</p>\n"), 400),
		filepath.Join(www, "blob.bin"):   bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, '\r', '\n'}, 2500),
		filepath.Join(folder, "nginx.conf"): fmt.Appendf(nil, `daemon off; master_process off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 64; }
http {
  log_format facts escape=json %[3]s;
  access_log %[1]s/access.log facts;
  types { text/html html; application/octet-stream bin; }
  client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
  gzip on; gzip_min_length 100; keepalive_timeout 5;
  server { listen 127.0.0.1:%[2]d; root %[1]s/www; location /stored { proxy_pass http://unix:%[1]s/backend; } }
  server { listen unix:%[1]s/backend; access_log off; location / { return 201 "stored\n"; } }
}
`, folder, port, nginxFormat),
	}
	for name, content := range files {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stop = startServer(t, "nginx", "-p", folder, "-c", filepath.Join(folder, "nginx.conf"))
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("unix", filepath.Join(folder, "backend")); err == nil {
			conn.Close()
			return stop
		}
	}
	text, _ := os.ReadFile(filepath.Join(folder, "error.log"))
	t.Fatalf("nginx does not listen: %s", text)
	return stop
}

// startTcpdump captures the packets of one port of the loopback interface; it
// returns once that has begun.
func startTcpdump(t *testing.T, file string, port int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "tcpdump", "-i", "lo", "-U", "--immediate-mode", "-B", "8192", "-s", "0", "-w", file, fmt.Sprintf("tcp port %d", port))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	complaints, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(complaints)
	said := ""
	for lines.Scan() {
		if strings.Contains(lines.Text(), "listening on") {
			return func() {
				settled(t, file, cmd.Process)
				cancel()
				_ = cmd.Wait()
			}
		}
		said = lines.Text()
	}
	cancel()
	_ = cmd.Wait()
	if os.Getenv("CI") == "true" {
		t.Fatalf("tcpdump may not capture: %s", said)
	}
	t.Skipf("tcpdump may not capture: %s", said)
	return nil
}

// start runs a program until stop is called or the test ends.
func startServer(t *testing.T, name string, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // finishes what it has begun
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := false
	stop = func() {
		if !done {
			done = true
			cancel()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

// missingProgram skips a test for want of a program; where all must be there it
// fails.
func missingProgram(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}
