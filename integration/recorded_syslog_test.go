package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowscope/parsers/syslog"
)

// TestRecordedSyslog compares the recording of logger talking to rsyslogd, over
// UDP and TCP in both framings, with what rsyslogd has written down.
func TestRecordedSyslog(t *testing.T) {
	text, err := os.ReadFile("testdata/syslog.facts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []map[string]string
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var fact map[string]string
		if err := json.Unmarshal(line, &fact); err != nil {
			t.Fatal(err)
		}
		delete(fact, "structured_data") // compared below
		for key, value := range fact {
			if value == "-" {
				delete(fact, key)
			}
		}
		// rsyslogd completes times, or puts its own where there was none.
		delete(fact, "timestamp")
		fact["text"] = strings.TrimPrefix(fact["text"], " ")
		want = append(want, fact)
	}
	for _, ev := range record(t, "testdata/syslog.pcap.gz", 1).events {
		m, ok := ev.Message.(*syslog.Message)
		if !ok {
			continue
		}
		fact := map[string]string{"input": map[string]string{"udp": "imudp", "tcp": "imtcp"}[ev.Flow.Transport.String()]}
		for key, value := range map[string]string{
			"facility": m.Facility, "severity": m.Severity, "hostname": m.Hostname, "app_name": m.AppName,
			"proc_id": m.ProcID, "msg_id": m.MsgID, "text": m.Text,
		} {
			if value != "" {
				fact[key] = value
			}
		}
		got = append(got, fact)
	}
	// rsyslogd has several listeners, whose messages it may swap.
	order := func(a, b map[string]string) int { return strings.Compare(a["text"], b["text"]) }
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-rsyslogd +flowscope)\n%s", diff)
	}
}
