package ntp

import (
	"strings"
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
		c("answered", request4, reply4),
		c("without answer", request4, broadcast3, request4, kiss, request4, request4, request4, request4),
		c("extensions", request4+"0104 0010 000102030405060708090a0b 0204 001c"+strings.Repeat("00", 24)+"00000001 000102030405060708090a0b0c0d0e0f"),
		c("damaged", "", request4[:50]+"0", request4+"0104 0024"+strings.Repeat("00", 28)),
		c("control", "26 02 0007 0000 0000 0000 0000", "26 82 0007 0615 0000 0000 0007 737472613dff2c 00"),
		c("private", "17 00 03 2a 0000 0000", "d7 85 03 2a 0002 0004 0001020304050607"),
	}
}

// captures returns the NTP datagrams of the recording here and of all captures of
// others, by flow.
func captures(tb testing.TB) []sessiontest.Conversation {
	folder := sessiontest.Corpus(tb, corpusFolder)
	files := append(sessiontest.Captures(tb, folder), "../../integration/testdata/ntp.pcapng")
	list := sessiontest.Conversations(tb, files, 123)
	if len(list) < 20 {
		tb.Fatalf("only %d flows on port 123", len(list))
	}
	return list
}

func TestContract(t *testing.T) {
	sessiontest.TestDatagramParser(t, New(), 0, contractConversations(t)...)
}

// TestContractOnCorpus holds the contract against captured flows.
func TestContractOnCorpus(t *testing.T) {
	sessiontest.TestDatagramParser(t, New(), 0, captures(t)...)
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
	if n < 80 {
		t.Errorf("only %d messages", n)
	}
}
