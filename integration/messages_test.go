package integration

import (
	"context"
	"errors"
	"strings"
	"testing"

	"flowscope/ingest"
	"flowscope/parsers/dns"
	"flowscope/publish"
	"flowscope/session"

	"go.uber.org/goleak"
)

const messagesCapture = "testdata/dns.pcap"

func openMessages(tb testing.TB) ingest.Source {
	tb.Helper()
	src, err := ingest.Open(messagesCapture)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { src.Close() })
	return src
}

// The counts are tshark's, over UDP and TCP.
func TestMessages(t *testing.T) {
	defer goleak.VerifyNone(t)
	var queries, responses, all int
	for e, err := range session.Messages[*dns.Query](t.Context(), openMessages(t), dns.New()) {
		if err != nil {
			t.Fatal(err)
		}
		if q := e.Message.(*dns.Query); q.Size == 0 {
			t.Errorf("%+v", q)
		}
		queries++
	}
	var kept []*session.SessionEvent
	for e, err := range session.Messages[session.Message](t.Context(), openMessages(t), dns.New()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := e.Message.(*dns.Response); ok {
			responses++
		}
		kept = append(kept, e)
		all++
	}
	if queries != 89 || responses != 85 || all < queries+responses {
		t.Errorf("%d queries, %d responses, %d in all", queries, responses, all)
	}
	ids := map[string]bool{}
	for _, e := range kept {
		ids[e.ID()] = true
	}
	if len(ids) != all {
		t.Errorf("%d ids of %d events", len(ids), all)
	}
}

// TestMessagesLeft leaves the loop in different ways.
func TestMessagesLeft(t *testing.T) {
	defer goleak.VerifyNone(t)
	turns := 0
	for range session.Messages[*dns.Query](t.Context(), openMessages(t), dns.New()) {
		if turns++; turns == 3 {
			break
		}
	}
	if turns != 3 {
		t.Errorf("%d turns", turns)
	}
	func() {
		defer func() {
			if r := recover(); r != "in the loop" {
				t.Errorf("recovered %v", r)
			}
		}()
		for range session.Messages[*dns.Query](t.Context(), openMessages(t), dns.New()) {
			panic("in the loop")
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	turns = 0
	for _, err := range session.Messages[*dns.Query](ctx, openMessages(t), dns.New()) {
		cancel()
		last = err
		turns++
	}
	if !errors.Is(last, context.Canceled) || turns > 256 {
		t.Errorf("after %d turns: %v", turns, last)
	}
	for _, err := range session.Messages[*publish.DeadLetter](t.Context(), openMessages(t), dns.New()) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "no messages of type *publish.DeadLetter") {
		t.Errorf("a type that is not the protocol's: %v", last)
	}
}
