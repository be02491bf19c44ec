package meter

import (
	"flowscope/session"
	"flowscope/session/sessiontest"
	"testing"
)

const (
	report = "M1R\x00\x0d\x00\x00\x00\x07\xff\xff\xff\xfecabin"
	answer = "M1A\x00\x04\x00\x00\x00\x07"
)

func TestContract(t *testing.T) {
	sessiontest.TestSessionParser(t, New(), 2,
		sessiontest.Text("report", report, answer, report+report, answer),
		sessiontest.Text("malformed", report+"M2"+answer),
	)
	sessiontest.TestDatagramParser(t, New(), 2, sessiontest.Conversation{Name: "report", Datagrams: []sessiontest.Datagram{
		{Payload: []byte(report)}, {Side: session.Responder, Payload: []byte(answer)},
	}})
}
