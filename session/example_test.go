package session_test

import (
	"bytes"
	"context"
	"fmt"
	stdlog "log"

	"flowscope/ingest"
	"flowscope/session"
	"flowscope/session/pack"
)

// Line is one line of a text protocol.
type Line struct {
	Text string `msgpack:"text"`
}

// Kind is line.
func (*Line) Kind() string { return "line" }

// AppendMsgpack appends the line as one map.
func (l *Line) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Text("text", []byte(l.Text))
	return m.End()
}

// LineParser makes a message of each line, of either side.
type LineParser struct{ line Line }

// FeedInitiator implements session.SessionParser.
func (p *LineParser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.feed(data, out)
}

// FeedResponder implements session.SessionParser.
func (p *LineParser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.feed(data, out)
}

func (p *LineParser) feed(data []byte, out *session.Output) (used int, err error) {
	for {
		n := bytes.IndexByte(data[used:], '\n')
		if n < 0 {
			return used, nil // the rest comes again, with what follows
		}
		p.line.Text = string(bytes.TrimRight(data[used:used+n], "\r"))
		out.Emit(&p.line)
		used += n + 1
	}
}

// LineFactory makes line parsers for all of TCP.
type LineFactory struct{ protocol session.Protocol }

// Protocol implements session.Factory.
func (f *LineFactory) Protocol() *session.Protocol { return &f.protocol }

// Probe implements session.Factory.
func (*LineFactory) Probe(*session.Sample) session.Verdict { return session.Match }

// NewSessionParser implements session.SessionParserFactory.
func (*LineFactory) NewSessionParser() session.SessionParser { return new(LineParser) }

// The lines of a text protocol, from a capture file.
func ExampleMessages() {
	lines := &LineFactory{session.Protocol{
		Name:       "lines",
		Transports: []session.Transport{session.TCP},
		Messages:   []session.Message{new(Line)},
	}}
	src, err := ingest.Open("../integration/testdata/http.pcap")
	if err != nil {
		stdlog.Fatal(err)
	}
	defer src.Close()
	n := 0
	for e, err := range session.Messages[*Line](context.Background(), src, lines) {
		if err != nil {
			stdlog.Fatal(err)
		}
		fmt.Printf("%v: %q\n", e.Side, e.Message.(*Line).Text)
		if n++; n == 8 {
			break
		}
	}
	// Output:
	// initiator: "GET / HTTP/1.1"
	// initiator: "Host: www.example.test"
	// initiator: "User-Agent: curl/7.88.1"
	// initiator: "Accept: */*"
	// initiator: ""
	// responder: "HTTP/1.1 200 OK"
	// responder: "Server: nginx/1.22.1"
	// responder: "Date: Mon, 23 Nov 2026 22:48:17 GMT"
}
