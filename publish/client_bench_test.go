package publish

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/nats-io/nats.go"
)

// modePayload is about the size of our events, in bytes.
const modePayload = 600

// BenchmarkClient is what the client's library itself takes and allocates for one
// message as ours are, and for one acknowledgement. The server is none: it throws
// away what it reads, so that nothing of it is counted.
func BenchmarkClient(b *testing.B) {
	b.Run("message", func(b *testing.B) {
		nc, _ := connectToNobody(b)
		m := &nats.Msg{Subject: "flowscope.dns.query", Reply: "_INBOX.0123456789012345678901.1234567890", Data: make([]byte, modePayload), Header: nats.Header{
			"Nats-Msg-Id": {"0badcafe0badcafe0badcafe0badcafe-1"}, "Content-Type": {ContentType}, SeqHeader: {"run1.0.1"},
		}}
		b.ReportAllocs()
		for b.Loop() {
			if err := nc.PublishMsg(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("acknowledgement", func(b *testing.B) {
		nc, server := connectToNobody(b)
		const each = 1000
		taken, all := 0, make(chan struct{})
		if _, err := nc.Subscribe("_INBOX.x.>", func(*nats.Msg) {
			if taken++; taken%each == 0 {
				all <- struct{}{}
			}
		}); err != nil {
			b.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			b.Fatal(err)
		}
		acks := bytes.Repeat([]byte("MSG _INBOX.x.1234567890 1 35\r\n{\"stream\":\"FLOWSCOPE\",\"seq\":1234567}\r\n"), each)
		b.ReportAllocs()
		sent := 0
		for b.Loop() {
			if sent++; sent%each == 0 {
				if _, err := server.Write(acks); err != nil {
					b.Fatal(err)
				}
				<-all
			}
		}
	})
}

// connectToNobody returns a connection whose other end only answers pings.
func connectToNobody(b *testing.B) (*nats.Conn, net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		accepted <- c
		_, _ = io.WriteString(c, "INFO {\"max_payload\":1048576,\"headers\":true}\r\n")
		for r := bufio.NewReaderSize(c, 64<<10); ; {
			line, err := r.ReadSlice('\n')
			if err != nil && err != bufio.ErrBufferFull {
				return
			}
			if string(line) == "PING\r\n" {
				_, _ = io.WriteString(c, "PONG\r\n")
			}
		}
	}()
	nc, err := nats.Connect("nats://" + l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	server := <-accepted
	b.Cleanup(func() {
		nc.Close()
		_, _ = server.Close(), l.Close()
		<-done
	})
	return nc, server
}
