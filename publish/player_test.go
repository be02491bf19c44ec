package publish

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
)

// player plays a server with a stream of three messages, whose consumers deliver what
// they please: a server lets no client send what looks like coming from a stream.
type player struct {
	// deliver is told that the nth consumer, which begins with message start, is
	// asked for messages. info is what is said of the first one.
	deliver func(nth, start int)
	info    string

	conn  net.Conn
	made  atomic.Int32
	start int               // of the latest consumer
	asked bool              // it was looked up
	sids  map[string]string // by subject
	inbox string            // takes the messages
}

// Dial implements nats.CustomDialer.
func (p *player) Dial(string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conn, p.sids = ours, map[string]string{}
	go p.serve()
	return theirs, nil
}

func (p *player) connect(t *testing.T) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://player", nats.SetCustomDialer(p), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// serve reads what the client sends until it is gone.
func (p *player) serve() {
	_, _ = io.WriteString(p.conn, `INFO {"server_id":"p","version":"2.14.0","proto":1,"max_payload":1048576,"headers":true}`+"\r\n")
	for r := bufio.NewReader(p.conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch f := strings.Fields(line); f[0] {
		case "PING":
			_, _ = io.WriteString(p.conn, "PONG\r\n")
		case "SUB":
			p.sids[f[1]] = f[len(f)-1]
		case "PUB":
			var n int
			_, _ = fmt.Sscan(f[len(f)-1], &n)
			data := make([]byte, n+2)
			if _, err := io.ReadFull(r, data); err != nil {
				return
			}
			p.answer(f[1], f[2], data[:n])
		}
	}
}

// say sends a message to a subject that the client listens to.
func (p *player) say(to, reply, data string) {
	sid, ok := p.sids[to]
	if !ok { // the one inbox for all requests
		sid = p.sids[to[:strings.LastIndexByte(to, '.')]+".*"]
	}
	_, _ = fmt.Fprintf(p.conn, "MSG %s %s %s %d\r\n%s\r\n", to, sid, reply, len(data), data)
}

// send delivers message seq of the stream as number n of the consumer.
func (p *player) send(n, seq int) {
	p.say(p.inbox, fmt.Sprintf("$JS.ACK.FLOWSCOPE.c.1.%d.%d.1767323045000000000.%d", seq, n, 3-seq), "x")
}

// answer answers a request to JetStream.
func (p *player) answer(subject, reply string, data []byte) {
	const created = `"created":"2026-01-02T03:04:05Z"`
	const fresh = `{"stream_name":"FLOWSCOPE","name":"c",` + created + `,"config":{"name":"c"},"num_pending":3}`
	switch {
	case strings.HasPrefix(subject, "$JS.API.STREAM.INFO."):
		p.say(reply, "", `{"config":{"name":"FLOWSCOPE","subjects":["flowscope.>"]},`+created+`,"state":{}}`)
	case strings.HasPrefix(subject, "$JS.API.CONSUMER.CREATE."):
		p.start, p.asked = 1, false
		if _, at, ok := bytes.Cut(data, []byte(`"opt_start_seq":`)); ok {
			_, _ = fmt.Sscanf(string(at), "%d", &p.start)
		}
		p.made.Add(1)
		p.say(reply, "", fresh)
	case strings.HasPrefix(subject, "$JS.API.CONSUMER.INFO.") && !p.asked:
		p.asked = true
		p.say(reply, "", fresh)
	case strings.HasPrefix(subject, "$JS.API.CONSUMER.INFO."):
		p.say(reply, "", p.info)
	case strings.HasPrefix(subject, "$JS.API.CONSUMER.MSG.NEXT."):
		p.inbox = reply
		p.deliver(int(p.made.Load()), p.start)
	}
}
