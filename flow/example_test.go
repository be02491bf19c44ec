package flow_test

import (
	"bytes"
	"context"
	"fmt"

	"flowscope/flow"
	"flowscope/ingest"
)

// sizes is a flow.Handler: it wants the bytes of TCP connections, and no messages.
type sizes struct {
	streams map[uint32]*[2]stream // by the flow's slot
}

// stream is what has come of one side.
type stream struct {
	size  int
	line  []byte // its first line, or what there is of it
	holes int
}

// HandleEvent takes the events of all flows, each flow's in order.
func (s *sizes) HandleEvent(e *flow.Event) {
	if e.Kind == flow.Opened {
		if e.Flow.Transport() != flow.TCP {
			e.Flow.Ignore() // its payload is counted and not handed up
			return
		}
		s.streams[e.Slot] = &[2]stream{}
	}
	both, ok := s.streams[e.Slot]
	if !ok {
		return
	}
	side := &both[e.Side]
	switch e.Kind {
	case flow.Data: // e.Data is borrowed: copy what is to stay
		side.size += len(e.Data)
		if len(side.line) < 40 && !bytes.Contains(side.line, []byte("\r\n")) {
			side.line = append(side.line, e.Data[:min(len(e.Data), 40)]...)
		}
	case flow.Gap: // e.Length bytes will not come
		side.holes++
	case flow.Closed:
		src, _ := e.Flow.Endpoints()
		for i := range both {
			if both[i].size < 4000 {
				continue
			}
			line, _, _ := bytes.Cut(both[i].line, []byte("\r\n"))
			fmt.Printf("%v %v sent %d bytes, %d holes: %s\n", src, flow.Side(i), both[i].size, both[i].holes, line)
		}
		delete(s.streams, e.Slot)
	}
}

// Tick comes after each batch of packets.
func (s *sizes) Tick(ingest.Timestamp) {}

// Close comes last.
func (s *sizes) Close() {}

// The largest streams of a capture; tshark -z follow counts the same bytes. A Handler
// gets the bytes of TCP connections in order, whatever order the packets
// came in, and is told what is missing.
func ExampleHandler() {
	src, err := ingest.Open("../integration/testdata/http.pcap")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer src.Close()
	table, err := flow.NewTable(flow.DefaultConfig(), "example", &sizes{streams: map[uint32]*[2]stream{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ingest.Run(context.Background(), src, flow.NewSpreader().Spread, []ingest.Handler{table}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 192.0.2.10:40344 responder sent 11208 bytes, 0 holes: HTTP/1.1 200 OK
	// 192.0.2.10:40388 responder sent 6255 bytes, 0 holes: HTTP/1.1 200 OK
	// 192.0.2.10:40396 responder sent 4762 bytes, 0 holes: HTTP/1.1 301 Moved Permanently
	// 192.0.2.10:40426 initiator sent 4546 bytes, 0 holes: POST /form HTTP/1.1
	// 192.0.2.10:55394 responder sent 4391 bytes, 0 holes: HTTP/1.1 200 OK
}
