package snmp

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

// FuzzParse feeds anything from both sides.
func FuzzParse(f *testing.F) {
	for _, c := range append(contractConversations(f), captures(f)...) {
		for i, d := range c.Datagrams {
			if i < 4 {
				f.Add(d.Payload, d.Truncated)
			}
		}
	}
	protocol := New().Protocol()
	f.Fuzz(func(t *testing.T, payload []byte, truncated bool) {
		if len(payload) > 65535 {
			return
		}
		run := sessiontest.NewDatagramRun(New())
		for _, side := range []session.Side{session.Initiator, session.Responder} {
			if err := run.Feed(sessiontest.Datagram{Side: side, Payload: payload, Truncated: truncated}); err != nil {
				t.Fatal(err)
			}
		}
		if n := run.Bytes(); n > 2*(8<<10+16*len(payload)) {
			t.Fatalf("%d octets give %d", len(payload), n)
		}
		for i := range run.Emissions {
			if err := sessiontest.CheckMessage(protocol, run.Emissions[i].Kind, run.Emissions[i].Body); err != nil {
				t.Fatal(err)
			}
		}
	})
}
