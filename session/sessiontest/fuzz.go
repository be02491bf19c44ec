package sessiontest

import (
	"testing"

	"flowscope/flow"
	"flowscope/session"
)

// seedsOfFlow is how many datagrams of a conversation are given to the fuzzer.
const seedsOfFlow = 4

// FuzzDatagramParser feeds a parser anything, from both sides: it must not fail,
// what it puts out must be what its protocol declares, and be no larger than limit
// says, in bytes, for a payload of so many octets.
func FuzzDatagramParser(f *testing.F, factory session.DatagramParserFactory, limit func(payload int) int, seeds ...Conversation) {
	for _, c := range seeds {
		for _, d := range c.Datagrams[:min(len(c.Datagrams), seedsOfFlow)] {
			f.Add(d.Payload, d.Truncated)
		}
	}
	protocol := factory.Protocol()
	f.Fuzz(func(t *testing.T, payload []byte, truncated bool) {
		if len(payload) > 65535 {
			return
		}
		run := NewDatagramRun(factory)
		for _, side := range []flow.Side{flow.Initiator, flow.Responder} {
			if err := run.Feed(Datagram{Side: side, Payload: payload, Truncated: truncated}); err != nil {
				t.Fatal(err)
			}
		}
		if n := run.Bytes(); n > 2*limit(len(payload)) {
			t.Fatalf("%d octets give %d", len(payload), n)
		}
		for i := range run.Emissions {
			if err := CheckMessage(protocol, run.Emissions[i].Kind, run.Emissions[i].Body); err != nil {
				t.Fatal(err)
			}
		}
	})
}
