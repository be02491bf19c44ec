package integration

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flowscope/flow"
	"flowscope/session"
	"flowscope/session/sessiontest"
)

// TestGoldenAgainstTshark holds the golden files of the parsers against what
// tshark reads in the same captures: every value of every key that both have, and
// every message, whatever the parsers say today.
func TestGoldenAgainstTshark(t *testing.T) {
	needTshark(t)
	files, err := filepath.Glob("../parsers/*/testdata/*.pcap")
	if err != nil {
		t.Fatal(err)
	}
	lists, exceptions := fieldLists(), loadFieldExceptions(t)
	compared := map[string]int{}
	for _, file := range files {
		messages := goldenMessages(t, strings.TrimSuffix(file, ".pcap")+".json")
		var wanted []string
		for name, list := range lists {
			if slices.ContainsFunc(messages, func(m *ourMessage) bool { return slices.Contains(list.protocols, m.event.Protocol) }) {
				wanted = append(wanted, name)
			}
		}
		if len(wanted) == 0 {
			t.Errorf("%s: nothing of it can be compared with tshark", file)
			continue
		}
		theirs, err := tsharkMessages(t.Context(), file, lists, wanted)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		r := newFieldResults()
		for _, name := range wanted {
			r.compare(captureName(file), name, lists[name], ofList(messages, lists[name]), theirs[name], exceptions)
		}
		for key, c := range r.counts {
			compared[key.protocol] += c.agree
			if c.agree+c.excepted != c.union() {
				t.Errorf("%s: %s of %s: %d of %d values agree\n\t%s", file, key.key, key.protocol, c.agree, c.union(), strings.Join(r.examples[key], "\n\t"))
			}
		}
	}
	for name := range lists {
		t.Logf("%s: %d values agree", name, compared[name])
		if compared[name] < 20 {
			t.Errorf("%s: only %d values compared", name, compared[name])
		}
	}
}

// goldenMessages returns the messages of a golden file as if they had been made of
// the capture.
func goldenMessages(t *testing.T, file string) (messages []*ourMessage) {
	for _, f := range sessiontest.ReadGolden(t, file) {
		info := &flow.Info{
			Transport: flow.UDP,
			Src:       netip.AddrPortFrom(netip.IPv4Unspecified(), f.Ports[0]),
			Dst:       netip.AddrPortFrom(netip.IPv4Unspecified(), f.Ports[1]),
		}
		if f.Transport == flow.TCP.String() {
			info.Transport = flow.TCP
		}
		for _, m := range f.Messages {
			ev := &session.SessionEvent{Type: session.Application, Protocol: f.Protocol, Kind: m.Kind, Time: m.Time, Flow: info}
			if m.Side == flow.Responder.String() {
				ev.Side = flow.Responder
			}
			messages = append(messages, &ourMessage{event: ev, message: m.Message})
		}
	}
	return messages
}
