package dns

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	mdns "github.com/miekg/dns"
)

// FuzzParse feeds anything as query or response, to each protocol, and compares
// what is flawless with the oracle's reading.
func FuzzParse(f *testing.F) {
	for _, c := range contractConversations(f) {
		for _, d := range c.Datagrams {
			f.Add(d.Payload, false)
		}
	}
	for _, msg := range hostile() {
		f.Add(msg, true)
	}
	addCaptures(f)
	factories := []session.DatagramParserFactory{New(), NewMDNS(), NewLLMNR()}
	f.Fuzz(func(t *testing.T, payload []byte, truncated bool) {
		if len(payload) > maxMessage {
			return
		}
		for _, p := range factories {
			run := sessiontest.NewDatagramRun(p)
			for _, side := range []session.Side{session.Initiator, session.Responder, session.Initiator} {
				if err := run.Feed(sessiontest.Datagram{Side: side, Payload: payload, Truncated: truncated}); err != nil {
					t.Fatal(err)
				}
			}
			run.Close(session.Shutdown)
			if n := run.Bytes(); n > 4*(1<<20+256*len(payload)) {
				t.Fatalf("%d octets give %d", len(payload), n)
			}
			for i := range run.Emissions {
				if err := sessiontest.CheckMessage(p.Protocol(), run.Emissions[i].Kind, run.Emissions[i].Body); err != nil {
					t.Fatal(err)
				}
			}
		}
		var o mdns.Msg
		got, problem, ok := decodeOwned(t, payload, false)
		if !ok || problem != "" || o.Unpack(payload) != nil || lenient(&o) {
			return
		}
		if diff := diffOracle(got, oracleMessage(&o, len(payload), false)); diff != "" {
			t.Errorf("(-oracle +ours)\n%s", diff)
		}
	})
}

// lenient says whether the oracle's reading is known to differ from the RFCs: it
// takes octets of URI and CAA for escapes, and mistakes some addresses.
func lenient(o *mdns.Msg) bool {
	for _, list := range [][]mdns.RR{o.Answer, o.Ns, o.Extra} {
		for _, rr := range list {
			switch rr.(type) {
			case *mdns.URI, *mdns.CAA, *mdns.APL, *mdns.IPSECKEY, *mdns.AMTRELAY, *mdns.TKEY, *mdns.TSIG, *mdns.ISDN, *mdns.HIP, *mdns.LOC, *mdns.SMIMEA, *mdns.OPT, *mdns.NXNAME, *mdns.ANY:
				return true
			}
		}
	}
	return false
}

// addCaptures seeds from the captures, a few messages of each file.
func addCaptures(f *testing.F) {
	_, files := corpusFiles(f)
	for _, file := range files {
		n := 0
		for _, d := range sessiontest.UDP(f, file) {
			if (isDNSPort(d.SrcPort) || isDNSPort(d.DstPort)) && n < 6 {
				f.Add(d.Payload, false)
				n++
			}
		}
	}
}
