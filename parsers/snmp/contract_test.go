package snmp

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

const corpusFolder = "../../../shared/captures"

// contractConversations are flows that reach every part of the code.
func contractConversations(tb testing.TB) []sessiontest.Conversation {
	c := func(name string, datagrams ...string) sessiontest.Conversation {
		list := sessiontest.Conversation{Name: name}
		for i, d := range datagrams {
			list.Datagrams = append(list.Datagrams, sessiontest.Datagram{Side: session.Side(i % 2), Payload: unhex(tb, d)})
		}
		return list
	}
	return []sessiontest.Conversation{
		c("answered", get, response),
		c("bulk", getBulk, everyType),
		c("traps", trapV1, message(1, pdu("a7", "05", 0, 0, varbind("430101")))),
		c("version 3", v3("0b", "04", scoped(pdu("a0", "01", 0, 0))), v3("0b", "00", scoped(pdu("a8", "07", 0, 0, varbind("410103"))))),
		c("encrypted", v3("0b", "07", "0404deadbeef"), v3("0b", "03", "0403c0ffee")),
		c("damaged", "", get[:20], getBulk[:len(getBulk)-2], message(1, pdu("a2", "01", 0, 0, varbind("490101"), tlv("30", "0600", "0500")))),
		c("unanswered", get, "", get, "", get, "", getBulk),
	}
}

// captures returns the SNMP datagrams of the recording here and of all captures of
// others, by flow.
func captures(tb testing.TB) []sessiontest.Conversation {
	folder := sessiontest.Corpus(tb, corpusFolder)
	files := append(sessiontest.Captures(tb, folder), "../../integration/testdata/snmp.pcap")
	list := sessiontest.Conversations(tb, files, 161, 162)
	if len(list) < 20 {
		tb.Fatalf("only %d flows on ports 161 and 162", len(list))
	}
	return list
}

// Values are boxed: each variable may take two allocations.

func TestContract(t *testing.T) {
	sessiontest.TestDatagramParser(t, New(), 20, contractConversations(t)...)
}

// TestContractOnCorpus holds the contract against captured flows.
func TestContractOnCorpus(t *testing.T) {
	sessiontest.TestDatagramParser(t, New(), 20, captures(t)...)
}

// TestCorpus wants all that programs sent each other without anomaly.
func TestCorpus(t *testing.T) {
	n := 0
	for _, c := range captures(t) {
		run := sessiontest.NewDatagramRun(New())
		if err := run.Play(c); err != nil {
			t.Fatal(err)
		}
		for _, a := range run.Anomalies {
			t.Errorf("%s: %s", c.Name, a.Detail)
		}
		n += len(run.Emissions)
	}
	if n < 180 {
		t.Errorf("only %d messages", n)
	}
}
