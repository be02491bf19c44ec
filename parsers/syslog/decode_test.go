package syslog

import (
	"fmt"
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// describe writes a message as key=value in a fixed order.
func describe(t *testing.T, e *sessiontest.Emission) string {
	t.Helper()
	var m map[string]any
	if err := msgpack.Unmarshal(e.Body, &m); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, key := range []string{"format", "priority", "facility", "severity", "timestamp", "hostname", "app_name", "proc_id", "msg_id", "structured_data", "text"} {
		if v, ok := m[key]; ok {
			fmt.Fprintf(&b, "%s=%v|", key, v)
		}
	}
	if e.Truncated {
		b.WriteString("truncated|")
	}
	return strings.TrimSuffix(b.String(), "|")
}

// TestMessages has the examples of RFC 5424 section 6.5 and of RFC 3164 section
// 5.4, and what senders make of the latter.
func TestMessages(t *testing.T) {
	tests := []struct{ name, payload, want, anomaly string }{
		{
			"RFC 5424 example 1", "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8",
			"format=rfc5424|priority=34|facility=auth|severity=crit|timestamp=2003-10-11T22:14:15.003Z|hostname=mymachine.example.com|app_name=su|msg_id=ID47|text='su root' failed for lonvick on /dev/pts/8", "",
		},
		{
			"RFC 5424 example 2", "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
			"format=rfc5424|priority=165|facility=local4|severity=notice|timestamp=2003-08-24T05:14:15.000003-07:00|hostname=192.0.2.1|app_name=myproc|proc_id=8710|text=%% It's time to make the do-nuts.", "",
		},
		{
			"RFC 5424 example 3", `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] ` + "\xef\xbb\xbfAn application event log entry...",
			"format=rfc5424|priority=165|facility=local4|severity=notice|timestamp=2003-10-11T22:14:15.003Z|hostname=mymachine.example.com|app_name=evntslog|msg_id=ID47|structured_data=[map[id:exampleSDID@32473 params:[map[name:iut value:3] map[name:eventSource value:Application] map[name:eventID value:1011]]]]|text=An application event log entry...", "",
		},
		{
			"RFC 5424 example 4", `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3"][examplePriority@32473 class="high"]`,
			"format=rfc5424|priority=165|facility=local4|severity=notice|timestamp=2003-10-11T22:14:15.003Z|hostname=mymachine.example.com|app_name=evntslog|msg_id=ID47|structured_data=[map[id:exampleSDID@32473 params:[map[name:iut value:3]]] map[id:examplePriority@32473 params:[map[name:class value:high]]]]", "",
		},
		{"escapes", `<0>1 - - - - - [a b="\"\\\]\n"] x`, `format=rfc5424|priority=0|facility=kern|severity=emerg|structured_data=[map[id:a params:[map[name:b value:"\]\n]]]]|text=x`, ""},
		{"element without parameters", "<0>1 - - - - - [a]", "format=rfc5424|priority=0|facility=kern|severity=emerg|structured_data=[map[id:a]]", ""},
		{"header ends early", "<13>1 2003-10-11T22:14:15.003Z host", "format=rfc3164|priority=13|facility=user|severity=notice|text=1 2003-10-11T22:14:15.003Z host", problemHeader},
		{"structured data unfinished", `<13>1 - - - - - [a b="c`, `format=rfc3164|priority=13|facility=user|severity=notice|text=1 - - - - - [a b="c`, problemData},
		{"RFC 3164 example 1", "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", "format=rfc3164|priority=34|facility=auth|severity=crit|timestamp=Oct 11 22:14:15|hostname=mymachine|app_name=su|text='su root' failed for lonvick on /dev/pts/8", ""},
		{"RFC 3164 example 2", "Use the BFG!", "format=rfc3164|text=Use the BFG!", ""},
		{"RFC 3164 example 3", "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's", "format=rfc3164|priority=165|facility=local4|severity=notice|timestamp=Aug 24 05:34:00|hostname=CST|text=1987 mymachine myproc[10]: %% It's", ""},
		{"RFC 3164 example 4", "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!", "format=rfc3164|priority=0|facility=kern|severity=emerg|text=1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!", ""},
		{"day of one digit, process id", "<22>Nov  3 22:48:42 client postfix[99]: text\n", "format=rfc3164|priority=22|facility=mail|severity=info|timestamp=Nov  3 22:48:42|hostname=client|app_name=postfix|proc_id=99|text=text", ""},
		{"no host", "<133>Apr  5 12:56:51 robin: Hello, syslog!\x00", "format=rfc3164|priority=133|facility=local0|severity=notice|timestamp=Apr  5 12:56:51|app_name=robin|text=Hello, syslog!", ""},
		{"year and fraction", "<189>Mar  1 2026 18:46:11.123 fw %ASA-6-302013: Built", "format=rfc3164|priority=189|facility=local7|severity=notice|timestamp=Mar  1 2026 18:46:11.123|hostname=fw|text=%ASA-6-302013: Built", ""},
		{"time of RFC 3339", "<13>2026-11-23T22:48:42.75+00:00 host tag: text", "format=rfc3164|priority=13|facility=user|severity=notice|timestamp=2026-11-23T22:48:42.75+00:00|hostname=host|app_name=tag|text=text", ""},
		{"no time", "<13>tag[1]: text", "format=rfc3164|priority=13|facility=user|severity=notice|app_name=tag|proc_id=1|text=text", ""},
		{"no tag", "<13>just a text: of words", "format=rfc3164|priority=13|facility=user|severity=notice|text=just a text: of words", ""},
		{"priority too large", "<192>x", "format=rfc3164|text=<192>x", ""},
		{"priority with zeros", "<013>x", "format=rfc3164|text=<013>x", ""},
		{"no text", "<13>", "format=rfc3164|priority=13|facility=user|severity=notice", ""},
		{"octets that are no text", "<13>\xff\xfe", "format=rfc3164|priority=13|facility=user|severity=notice|text=[255 254]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewDatagramRun(New())
			if err := run.Feed(sessiontest.Datagram{Payload: []byte(tt.payload)}); err != nil {
				t.Fatal(err)
			}
			if got := describe(t, &run.Emissions[0]); got != tt.want {
				t.Errorf("(-want +got)\n%s", cmp.Diff(tt.want, got))
			}
			anomaly := ""
			for _, a := range run.Anomalies {
				anomaly += a.Detail
			}
			if anomaly != tt.anomaly {
				t.Errorf("anomaly %q, want %q", anomaly, tt.anomaly)
			}
		})
	}
}

// TestFraming has both framings of RFC 6587, alternating and damaged.
func TestFraming(t *testing.T) {
	one := func(segments ...sessiontest.Segment) sessiontest.Stream {
		return sessiontest.Stream{Segments: segments}
	}
	data := func(s string) sessiontest.Segment { return sessiontest.Segment{Data: []byte(s)} }
	long := strings.Repeat("x", maxMessage)
	tests := []struct {
		name   string
		stream sessiontest.Stream
		want   []string
	}{
		{"counted", one(data("5 <13>a6 <13>\nb")), []string{"a", "\nb"}},
		{"lines", one(data("<13>a\n<13>b\r\n\n<13>c\x00\n")), []string{"a", "b", "c"}},
		{"both", one(data("5 <13>a<13>b\n5 <13>c")), []string{"a", "b", "c"}},
		{"split", one(data("5"), data(" "), data("<1"), data("3>a<13>b"), data("\n")), []string{"a", "b"}},
		{"last line ends with the stream", one(data("<13>a"), sessiontest.Segment{Fin: true}), []string{"a"}},
		{"counted message cut by the end", one(data("9 <13>a"), sessiontest.Segment{Fin: true}), []string{"a truncated"}},
		{"line without priority", one(data("2026 was\n<13>b\n")), []string{"2026 was", "b"}},
		{"long line", one(data("<13>" + long + "tail\n<13>b\n")), []string{long[4:] + " truncated", "b"}},
		{"long counted message", one(data(fmt.Sprintf("%d <13>%s<13>b\n", 4+len(long), long))), []string{long[4:] + " truncated", "b"}},
		{"gap in a line", one(data("<13>a"), sessiontest.Segment{Gap: 10, Data: []byte("rest\n<13>b\n")}), []string{"b"}},
		{"gap inside a counted message", one(data("20 <13>a"), sessiontest.Segment{Gap: 5, Data: []byte("01234567895 <13>b")}), []string{"b"}},
		{"gap beyond a counted message", one(data("20 <13>a"), sessiontest.Segment{Gap: 50, Data: []byte("rest5 <13>b")}), []string{"b"}},
		{"midstream", sessiontest.Stream{Midstream: true, Segments: []sessiontest.Segment{data("rest\n<13>b\n")}}, []string{"b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewStreamRun(New())
			if err := run.Play(tt.stream); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range run.Emissions {
				_, text, _ := strings.Cut(describe(t, &run.Emissions[i]), "text=")
				got = append(got, strings.ReplaceAll(text, "|", " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	tests := []struct {
		name, data string
		transport  session.Transport
		port       uint16
		want       session.Verdict
	}{
		{"priority", "<13>x", session.UDP, 514, session.Match},
		{"text", "Use the BFG!", session.UDP, 514, session.More},
		{"nonsense", "\x00\x01\x02", session.UDP, 514, session.No},
		{"priority and nonsense", "<13>\x00\x01\x02", session.UDP, 514, session.No},
		{"markup", "<html>", session.UDP, 514, session.No},
		{"priority elsewhere", "<13>x", session.UDP, 1514, session.No},
		{"old format elsewhere", "<13>Oct 11 22:14:15 host su: x", session.UDP, 1514, session.Match},
		{"new format elsewhere", "<13>1 2003-10-11T22:14:15.003Z host su - - - x", session.UDP, 1514, session.Match},
		{"line", "<13>x", session.TCP, 514, session.Match},
		{"counted", "5 <13>a", session.TCP, 514, session.Match},
		{"beginning of a count", "5", session.TCP, 514, session.More},
		{"beginning of a priority", "<1", session.TCP, 514, session.More},
		{"beginning of a line elsewhere", "<13>Oct 1", session.TCP, 1514, session.More},
		{"line elsewhere", "<13>Oct 11 22:14:15 host su: x", session.TCP, 1514, session.Match},
		{"counted elsewhere", "42 <13>Oct 11 22:14:15 host su: x", session.TCP, 1514, session.Match},
		{"HTTP", "GET / HTTP/1.1\r\n", session.TCP, 514, session.No},
		{"TLS", "\x16\x03\x01\x02\x00", session.TCP, 514, session.No},
	}
	for _, tt := range tests {
		s := &session.Sample{Data: []byte(tt.data), SrcPort: 40000, DstPort: tt.port, Transport: tt.transport}
		if got := New().Probe(s); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
	s := &session.Sample{Data: []byte("220 ready\r\n"), Side: session.Responder, SrcPort: 40000, DstPort: 514, Transport: session.TCP}
	if got := New().Probe(s); got != session.No {
		t.Errorf("a server that speaks first: verdict %d", got)
	}
}
