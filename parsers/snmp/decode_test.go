package snmp

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// tlv writes an element in hex digits; the parts are hex digits too.
func tlv(tag string, parts ...string) string {
	contents := strings.ReplaceAll(strings.Join(parts, ""), " ", "")
	n := len(contents) / 2
	if n < 0x80 {
		return fmt.Sprintf("%s%02x%s", tag, n, contents)
	}
	return fmt.Sprintf("%s82%04x%s", tag, n, contents)
}

func str(s string) string { return tlv("04", hex.EncodeToString([]byte(s))) }

const sysUpTime = "06082b06010201010300"

// message is a message of version 1 or 2c.
func message(version byte, pdu string) string {
	return tlv("30", tlv("02", fmt.Sprintf("%02x", version)), str("public"), pdu)
}

func pdu(tag, id string, first, second byte, varbinds ...string) string {
	return tlv(tag, tlv("02", id), tlv("02", fmt.Sprintf("%02x", first)), tlv("02", fmt.Sprintf("%02x", second)), tlv("30", varbinds...))
}

func varbind(value string) string { return tlv("30", sysUpTime, value) }

// v3 is a message of version 3; flags are those of RFC 3412 section 6.4.
func v3(id, flags, data string) string {
	global := tlv("30", tlv("02", id), "020205c0", tlv("04", flags), "020103")
	usm := tlv("30", "0405 8000000001", "020102", "020203e8", str("admin"), "0400", "0400")
	return tlv("30", "020103", global, tlv("04", usm), data)
}

func scoped(pdu string) string { return tlv("30", "0405 8000000001", str("ctx"), pdu) }

var (
	get       = message(1, pdu("a0", "0102", 0, 0, varbind("0500")))
	response  = message(1, pdu("a2", "0102", 0, 0, varbind("4302 1234")))
	getBulk   = message(1, pdu("a5", "03", 1, 10, varbind("0500"), varbind("0500")))
	trapV1    = message(0, tlv("a4", "06062b0601040110", "4004c0000201", "020106", "02012a", "430164", tlv("30", varbind("0201 07"))))
	everyType = message(1, pdu("a2", "0103", 0, 0,
		varbind("0201ff"), varbind(str("text")), varbind("0402ff00"), varbind("0500"), varbind("06022b06"), varbind("4004c0000201"),
		varbind("410500ffffffff"), varbind("420105"), varbind("43020100"), varbind("44079f780442f60000"), varbind("450101"),
		varbind("460900ffffffffffffffff"), varbind("470101"), varbind("8000"), varbind("8100"), varbind("8200")))
)

func TestMessages(t *testing.T) {
	const head = " version=2c community=[redacted]"
	tests := []struct {
		name      string
		datagrams []string
		want      []string
		anomaly   string
	}{
		{"get and response", []string{get, response}, []string{
			"get" + head + " request_id=258 varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:Null]] -error_status -rtt_ns -message_id",
			"response" + head + " request_id=258 error_status=noError varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:TimeTicks value:4660]] rtt_ns=1000000 -error_index",
		}, ""},
		{"another response", []string{get, message(1, pdu("a2", "0103", 0, 0))}, []string{"get", "response -rtt_ns -varbinds"}, ""},
		{"error of version 1", []string{message(0, pdu("a1", "01", 0, 0, varbind("0500"))), message(0, pdu("a2", "01", 2, 1, varbind("0500")))}, []string{
			"get_next version=1", "response version=1 error_status=noSuchName error_index=1 rtt_ns=1000000",
		}, ""},
		{"error without a name", []string{message(1, pdu("a2", "01", 99, 0))}, []string{"response error_status=99"}, ""},
		{"bulk", []string{getBulk}, []string{"get_bulk request_id=3 non_repeaters=1 max_repetitions=10 -error_status -error_index"}, ""},
		{"set", []string{message(1, pdu("a3", "01", 0, 0, varbind(str("x"))))}, []string{"set varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:OctetString value:x]]"}, ""},
		{"inform and its response", []string{message(1, pdu("a6", "05", 0, 0)), message(1, pdu("a2", "05", 0, 0))}, []string{"inform", "response rtt_ns=1000000"}, ""},
		{"trap", []string{message(1, pdu("a7", "05", 0, 0, varbind("430101")))}, []string{"trap request_id=5 -generic_trap"}, ""},
		{"trap of version 1", []string{trapV1}, []string{
			"trap version=1 enterprise=1.3.6.1.4.1.16 agent_address=192.0.2.1 generic_trap=enterpriseSpecific specific_trap=42 uptime_ticks=100 varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:Integer32 value:7]] -request_id",
		}, ""},
		{"every type", []string{everyType}, []string{"response varbinds=[" + strings.Join([]string{
			"Integer32 value:-1", "OctetString value:text", "OctetString value:[255 0]", "Null", "ObjectIdentifier value:1.3.6", "IpAddress value:192.0.2.1",
			"Counter32 value:4294967295", "Gauge32 value:5", "TimeTicks value:256", "Opaque value:[159 120 4 66 246 0 0]", "NsapAddress value:[1]",
			"Counter64 value:18446744073709551615", "UInteger32 value:1", "noSuchObject", "noSuchInstance", "endOfMibView",
		}, "] ") + "]]"}, ""},
		{"version 3", []string{v3("0b", "04", scoped(pdu("a0", "01", 0, 0))), v3("0b", "00", scoped(pdu("a8", "07", 0, 0, varbind("410103"))))}, []string{
			"get version=3 message_id=11 security_level=noAuthNoPriv reportable=true security_model=3 engine_id=8000000001 engine_boots=2 engine_time=1000 user=admin context_engine_id=8000000001 context=ctx request_id=1 -community",
			"report error_status=noError rtt_ns=1000000 -reportable",
		}, ""},
		{"encrypted", []string{v3("0b", "07", "0404deadbeef"), v3("0b", "03", "0403c0ffee")}, []string{
			"encrypted security_level=authPriv user=admin encrypted_size=4 -rtt_ns -request_id -context", "encrypted encrypted_size=3 rtt_ns=1000000",
		}, ""},
		{"privacy without authentication", []string{v3("0b", "02", "0404deadbeef")}, []string{"encrypted -security_level"}, problemValue},
		{"version 2", []string{message(2, pdu("a0", "01", 0, 0))}, nil, problemVersion},
		{"unknown PDU", []string{message(1, tlv("a9", "0500"))}, nil, problemPDU},
		{"integer with octets to spare", []string{message(1, pdu("a2", "01", 0, 0, varbind("02020001")))}, []string{"response varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:Integer32 value:1]]"}, problemPadded},
		{"negative counter", []string{message(1, pdu("a2", "01", 0, 0, varbind("4104ffffffff")))}, []string{"response varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:Counter32]]"}, problemValue},
		{"unknown type", []string{message(1, pdu("a2", "01", 0, 0, varbind("490101")))}, []string{"response varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:49 value:[1]]]"}, problemValue},
		{"no name", []string{message(1, pdu("a2", "01", 0, 0, tlv("30", "0600", "0500")))}, []string{"response varbinds=[map[type:Null]]"}, problemValue},
		{"octets after the message", []string{get + "00"}, []string{"get request_id=258"}, problemTrailing},
		{"cut in the second variable", []string{getBulk[:len(getBulk)-2]}, []string{"get_bulk varbinds=[map[oid:1.3.6.1.2.1.1.3.0 type:Null]] max_repetitions=10"}, problemShort},
		{"no SNMP", []string{"474554202f"}, nil, problemTag},
		{"empty", []string{""}, nil, problemShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewDatagramRun(New())
			for i, d := range tt.datagrams {
				if err := run.Feed(sessiontest.Datagram{Side: session.Side(i % 2), Payload: unhex(t, d)}); err != nil {
					t.Fatal(err)
				}
			}
			if len(run.Emissions) != len(tt.want) {
				t.Fatalf("%d messages, want %d", len(run.Emissions), len(tt.want))
			}
			for i, want := range tt.want {
				if tt.name == "every type" {
					want = strings.ReplaceAll(want, "=[", "=[map[oid:1.3.6.1.2.1.1.3.0 type:")
					want = strings.ReplaceAll(want, "] ", "] map[oid:1.3.6.1.2.1.1.3.0 type:")
					want = strings.ReplaceAll(want, "type:Integer32 value:-1", "type:Integer32 value:-1")
				}
				sessiontest.CheckFields(t, &run.Emissions[i], want)
			}
			var problems []string
			for _, a := range run.Anomalies {
				problems = append(problems, a.Detail)
			}
			if got := strings.Join(problems, "; "); got != tt.anomaly {
				t.Errorf("anomalies are %q, want %q", got, tt.anomaly)
			}
			for _, e := range run.Emissions {
				if e.Truncated != (tt.anomaly == problemShort) {
					t.Errorf("truncated is %v", e.Truncated)
				}
			}
		})
	}
}

// TestCommunities wants them only if the options say so.
func TestCommunities(t *testing.T) {
	f, err := New().WithConfig(&Config{Communities: true})
	if err != nil {
		t.Fatal(err)
	}
	run := sessiontest.NewDatagramRun(f.(session.DatagramParserFactory))
	if err := run.Feed(sessiontest.Datagram{Payload: unhex(t, get)}); err != nil {
		t.Fatal(err)
	}
	sessiontest.CheckFields(t, &run.Emissions[0], "get community=public")
}

// TestOldestRequestGivesWay wants the seventeenth request to push the first out.
func TestOldestRequestGivesWay(t *testing.T) {
	run := sessiontest.NewDatagramRun(New())
	feed := func(side session.Side, d string) {
		if err := run.Feed(sessiontest.Datagram{Side: side, Payload: unhex(t, d)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxRequests + 1 {
		feed(session.Initiator, message(1, pdu("a0", fmt.Sprintf("%02x", i), 0, 0)))
	}
	feed(session.Responder, message(1, pdu("a2", "00", 0, 0)))
	feed(session.Responder, message(1, pdu("a2", "01", 0, 0)))
	feed(session.Responder, message(1, pdu("a2", "01", 0, 0)))
	last := run.Emissions[maxRequests+1:]
	sessiontest.CheckFields(t, &last[0], "response request_id=0 -rtt_ns")
	sessiontest.CheckFields(t, &last[1], "response request_id=1 rtt_ns=17000000")
	sessiontest.CheckFields(t, &last[2], "response request_id=1 -rtt_ns")
}
