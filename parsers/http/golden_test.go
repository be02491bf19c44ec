package http

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

var update = flag.Bool("update", false, "write testdata/*.json anew; TestGoldenTshark says whether another program sees the same")

// golden is what a stream of testdata gives.
type golden struct {
	Messages  []goldenMessage `json:"messages"`
	Anomalies []string        `json:"anomalies,omitempty"`
}

type goldenMessage struct {
	Kind      string         `json:"kind"`
	Side      string         `json:"side"`
	Truncated bool           `json:"truncated,omitempty"`
	Message   map[string]any `json:"message"`
}

// goldenStreams reads testdata/*.txt: "> " and "< " begin what initiator and
// responder send, ">> " and "<< " go on with it; the rest of the line is quoted.
func goldenStreams(tb testing.TB) (streams []sessiontest.Stream) {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no streams (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		s := sessiontest.Stream{Name: strings.TrimSuffix(filepath.Base(file), ".txt")}
		for n, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			mark, quoted, _ := strings.Cut(line, " ")
			if mark == "#" {
				continue
			}
			data, err := strconv.Unquote(quoted)
			side := session.Side(strings.Count(mark[:1], "<"))
			switch {
			case err != nil || strings.Trim(mark, "<>") != "":
				tb.Fatalf("%s:%d: want a mark and a quoted text (%v)", file, n+1, err)
			case len(mark) == 1:
				s.Segments = append(s.Segments, sessiontest.Segment{Side: side, Data: []byte(data)})
			default:
				last := &s.Segments[len(s.Segments)-1]
				last.Data = append(last.Data, data...)
			}
		}
		streams = append(streams, s)
	}
	return streams
}

// goldenOf plays a stream.
func goldenOf(t *testing.T, s sessiontest.Stream) (g golden) {
	r := sessiontest.NewStreamRun(New())
	if r.Play(s) == nil {
		r.Close(session.EndOfInput)
	}
	for _, e := range r.Emissions {
		m := goldenMessage{Kind: e.Kind, Side: e.Side.String(), Truncated: e.Truncated}
		if err := msgpack.Unmarshal(e.Body, &m.Message); err != nil {
			t.Fatal(err)
		}
		g.Messages = append(g.Messages, m)
	}
	for _, a := range r.Anomalies {
		g.Anomalies = append(g.Anomalies, a.Name+": "+a.Detail)
	}
	return g
}

// TestGolden holds what testdata/*.txt give.
func TestGolden(t *testing.T) {
	for _, s := range goldenStreams(t) {
		t.Run(s.Name, func(t *testing.T) {
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(goldenOf(t, s)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", s.Name+".json")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// TestGoldenCapture holds what testdata/*.pcap give; it is held against tshark in
// integration.
func TestGoldenCapture(t *testing.T) { sessiontest.TestGolden(t, *update, New()) }

// seen is what a stream's messages have in common with what tshark says of them.
type seen struct {
	Requests, Responses             []string // start lines
	RequestFields, ResponseFields   []string
	Answered                        []string // targets, of all but interim responses
	RequestChunked, ResponseChunked uint64   // bytes in chunks
	RequestTrailers, ResponseTrails []string
}

// TestGoldenTshark lets tshark read the same bytes, as a capture, and compares with
// the files.
func TestGoldenTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("tshark is not installed")
	}
	for _, s := range goldenStreams(t) {
		t.Run(s.Name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", s.Name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(text, &g); err != nil {
				t.Fatal(err)
			}
			theirs, ours := tsharkSees(t, s), fileSays(g)
			if s.Name == "pipelining" {
				// To tshark the last request is that of all responses; the order of RFC
				// 9112 section 9.3.2 decides.
				theirs.Answered = []string{"http://www.example.com/1", "http://www.example.com/2", "http://www.example.com/3"}
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("(-tshark +file):\n%s", diff)
			}
		})
	}
}

// fileSays takes from a golden file what tshark says too.
func fileSays(g golden) (s seen) {
	for _, m := range g.Messages {
		get := func(key string) string {
			if v, ok := m.Message[key]; ok {
				return fmt.Sprint(v)
			}
			return ""
		}
		size, _ := m.Message["body_size"].(float64)
		if m.Kind == "request" {
			s.Requests = append(s.Requests, get("method")+" "+get("target")+" "+get("version"))
			s.RequestFields = append(s.RequestFields, fieldLines(m.Message["headers"])...)
			s.RequestTrailers = append(s.RequestTrailers, fieldLines(m.Message["trailers"])...)
			s.RequestChunked += chunkedSize(m.Message["headers"], size)
			continue
		}
		interims, _ := m.Message["interim"].([]any)
		for _, i := range interims {
			i := i.(map[string]any)
			s.Responses = append(s.Responses, fmt.Sprint(i["status"], " ", i["reason"]))
			s.ResponseFields = append(s.ResponseFields, fieldLines(i["headers"])...)
		}
		s.Responses = append(s.Responses, get("status")+" "+get("reason"))
		s.ResponseFields = append(s.ResponseFields, fieldLines(m.Message["headers"])...)
		s.ResponseTrails = append(s.ResponseTrails, fieldLines(m.Message["trailers"])...)
		s.ResponseChunked += chunkedSize(m.Message["headers"], size)
		line, _ := m.Message["request"].(map[string]any)
		s.Answered = append(s.Answered, fmt.Sprint("http://", line["host"], line["target"]))
	}
	return s
}

func fieldLines(list any) (lines []string) {
	fields, _ := list.([]any)
	for _, f := range fields {
		pair := f.([]any)
		lines = append(lines, fmt.Sprintf("%s: %s", pair[0], pair[1]))
	}
	return lines
}

func chunkedSize(headers any, size float64) uint64 {
	for _, line := range fieldLines(headers) {
		if line == "Transfer-Encoding: chunked" {
			return uint64(size)
		}
	}
	return 0
}

// tsharkSees dissects the stream as a capture.
func tsharkSees(t *testing.T, stream sessiontest.Stream) (s seen) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(file, capture(stream), 0o600); err != nil {
		t.Fatal(err)
	}
	fields := []string{
		"tcp.srcport", "http.request.method", "http.request.uri", "http.request.version", "http.response.code", "http.response.phrase",
		"http.request.line", "http.response.line", "http.response_for.uri", "http.chunk_size", "http.chunked_trailer_part",
	}
	args := []string{"-n", "-r", file, "-Y", "http", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	printed, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range strings.Split(strings.TrimRight(string(printed), "\n"), "\n") {
		columns := strings.Split(row, "\t")
		if len(columns) != len(fields) {
			t.Fatalf("%d columns: %q", len(columns), row)
		}
		get := func(field string) []string {
			for i, f := range fields {
				if f == field && columns[i] != "" {
					return strings.Split(columns[i], "|")
				}
			}
			return nil
		}
		for i, m := range get("http.request.method") {
			s.Requests = append(s.Requests, m+" "+get("http.request.uri")[i]+" "+get("http.request.version")[i])
		}
		for i, c := range get("http.response.code") {
			s.Responses = append(s.Responses, c+" "+get("http.response.phrase")[i])
			if c == "101" || c[0] != '1' {
				s.Answered = append(s.Answered, get("http.response_for.uri")[i])
			}
		}
		s.RequestFields = append(s.RequestFields, published(get("http.request.line"))...)
		s.ResponseFields = append(s.ResponseFields, published(get("http.response.line"))...)
		chunked, trailers := &s.RequestChunked, &s.RequestTrailers
		if get("tcp.srcport")[0] == "80" {
			chunked, trailers = &s.ResponseChunked, &s.ResponseTrails
		}
		for _, size := range get("http.chunk_size") {
			n, err := strconv.ParseUint(size, 0, 64)
			if err != nil {
				t.Fatal(err)
			}
			*chunked += n
		}
		*trailers = append(*trailers, published(get("http.chunked_trailer_part"))...)
	}
	return s
}

// published writes lines as our fields are: with secrets hidden.
func published(lines []string) (out []string) {
	for _, l := range strings.Split(strings.ReplaceAll(strings.Join(lines, ""), `\r\n`, "\n"), "\n") {
		if l == "" {
			continue
		}
		name, _, _ := strings.Cut(l, ":")
		if secretNames[strings.ToLower(name)] != 0 {
			l = name + ": " + redacted
		}
		out = append(out, l)
	}
	return out
}

// capture makes a capture of a stream: IPv4 without Ethernet, port 40000 to 80.
func capture(s sessiontest.Stream) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0)
	b = binary.LittleEndian.AppendUint32(b, 101) // LINKTYPE_RAW
	next := [2]uint32{1000, 2000}
	n := uint32(0)
	packet := func(side session.Side, flags byte, data []byte) {
		n++
		ports, hosts := [2]uint16{40000, 80}, [2]byte{1, 2}
		b = binary.LittleEndian.AppendUint32(b, 1_700_000_000+n)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(40+len(data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(40+len(data)))
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(40+len(data)))
		b = append(b, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, hosts[side], 192, 0, 2, hosts[side.Opposite()])
		b = binary.BigEndian.AppendUint16(b, ports[side])
		b = binary.BigEndian.AppendUint16(b, ports[side.Opposite()])
		b = binary.BigEndian.AppendUint32(b, next[side])
		b = binary.BigEndian.AppendUint32(b, next[side.Opposite()])
		b = append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0)
		b = append(b, data...)
		next[side] += uint32(len(data))
		if flags&3 != 0 { // SYN and FIN count
			next[side]++
		}
	}
	const fin, syn, push, ack = 1, 2, 8, 16
	packet(session.Initiator, syn, nil)
	packet(session.Responder, syn|ack, nil)
	packet(session.Initiator, ack, nil)
	for _, segment := range s.Segments {
		packet(segment.Side, push|ack, segment.Data)
		packet(segment.Side.Opposite(), ack, nil)
	}
	packet(session.Initiator, fin|ack, nil)
	packet(session.Responder, fin|ack, nil)
	packet(session.Initiator, ack, nil)
	return b
}
