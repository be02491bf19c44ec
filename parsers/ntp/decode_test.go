package ntp

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
)

// TestEras has the dates of RFC 5905 figure 4: era and offset of each.
func TestEras(t *testing.T) {
	tests := []struct {
		date   string
		offset uint32
		near   string // a capture of the same era
	}{
		{"1970-01-01", 2208988800, "1970-01-01"},
		{"1972-01-01", 2272060800, "1990-06-01"},
		{"1999-12-31", 3155587200, "2026-11-23"},
		{"2036-02-08", 63104, "2026-11-23"},
		{"2036-02-08", 63104, "2090-01-01"},
		{"1999-12-31", 3155587200, "2067-01-01"},
	}
	parse := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, tt := range tests {
		s := new(scratch)
		wire := []byte{byte(tt.offset >> 24), byte(tt.offset >> 16), byte(tt.offset >> 8), byte(tt.offset), 0x80, 0, 0, 0}
		_, got := s.timestamp(wire, session.Timestamp(parse(tt.near).UnixNano()))
		if want := parse(tt.date).Add(500 * time.Millisecond); !got.Equal(want) {
			t.Errorf("%d seen in %s is %v, want %v", tt.offset, tt.near, got.UTC(), want)
		}
	}
}

func TestShortFormat(t *testing.T) {
	for v, want := range map[uint32]int64{0: 0, 0x10000: 1e9, 0x8000: 5e8, 1: 15259, 0xffffffff: 65535999984741} {
		if got := shortFormat(v); got != want {
			t.Errorf("%#x is %d ns, want %d", v, got, want)
		}
	}
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Headers as RFC 5905 figure 8 lays them out; times around 23 November 2026.
const (
	request4   = "23 00 06 20 00000000 00000000 00000000 0000000000000000 0000000000000000 0000000000000000 eeaeb0d600000001"
	reply4     = "24 02 06 e9 00000100 00010000 c0000201 eeaeb0d500000000 eeaeb0d600000001 eeaeb0d640000000 eeaeb0d680000000"
	broadcast3 = "5d 01 06 ec 00000000 00000000 47505300 eeaeb0d500000000 0000000000000000 0000000000000000 eeaeb0d680000000"
	kiss       = "e4 00 06 e9 00000000 00000000 52415445 0000000000000000 eeaeb0d600000001 eeaeb0d640000000 eeaeb0d680000000"
)

var captured = session.Timestamp(time.Date(2026, 11, 23, 12, 32, 23, 0, time.UTC).UnixNano())

// TestMessages has one datagram after the other in one flow, alternating sides.
func TestMessages(t *testing.T) {
	const rest = " 00010000 c0000201 eeaeb0d500000000 eeaeb0d600000001 eeaeb0d640000000 eeaeb0d680000000"
	tests := []struct {
		name      string
		datagrams []string
		want      []string
		anomaly   string
	}{
		{
			"request and reply",
			[]string{request4, reply4},
			[]string{
				"client leap=0 poll=6 precision=32 root_delay_ns=0 root_dispersion_ns=0 size=48 stratum=0 transmit_time=2026-11-23T12:32:22Z transmit_timestamp=eeaeb0d600000001 version=4",
				"server leap=0 origin_time=2026-11-23T12:32:22Z origin_timestamp=eeaeb0d600000001 poll=6 precision=-23 receive_time=2026-11-23T12:32:22.25Z receive_timestamp=eeaeb0d640000000 reference_id=192.0.2.1 reference_time=2026-11-23T12:32:21Z reference_timestamp=eeaeb0d500000000 root_delay_ns=3906250 root_dispersion_ns=1000000000 rtt_ns=1000000 size=48 stratum=2 transmit_time=2026-11-23T12:32:22.5Z transmit_timestamp=eeaeb0d680000000 version=4",
			},
			"",
		},
		{"reply alone", []string{"", reply4}, []string{"server -rtt_ns"}, problemHeader},
		{"reply to another", []string{strings.Replace(request4, "d600000001", "d600000002", 1), reply4}, []string{"client", "server -rtt_ns"}, ""},
		{"primary", []string{broadcast3}, []string{"broadcast version=3 leap=1 stratum=1 reference_id=GPS -receive_time -origin_timestamp"}, ""},
		{"kiss of death", []string{request4, kiss}, []string{"client", "server leap=3 stratum=0 reference_id=RATE rtt_ns=1000000 -reference_time"}, ""},
		{"identifier is no text", []string{strings.Replace(kiss, "52415445", "01020304", 1)}, []string{"server reference_id=01020304"}, ""},
		{"symmetric", []string{"21" + reply4[2:], "22 02 06 e9 00000100 00010000 c0000201 eeaeb0d500000000 eeaeb0d680000000 eeaeb0d640000000 eeaeb0d690000000"}, []string{"symmetric_active", "symmetric_passive rtt_ns=1000000"}, ""},
		{"version 1", []string{"08 01 06 e9 00000100" + rest}, []string{"reserved version=1"}, ""},
		{"key and MD5", []string{request4 + "0000000a 000102030405060708090a0b0c0d0e0f"}, []string{"client key_id=10 mac=000102030405060708090a0b0c0d0e0f -extensions"}, ""},
		{"crypto-NAK", []string{request4 + "00000000"}, []string{"client key_id=0 -mac"}, ""},
		{"DES authenticator of version 3", []string{"1b" + request4[2:] + "00000001 0001020304050607"}, []string{"client version=3 key_id=1 mac=0001020304050607"}, ""},
		{
			"extension fields",
			[]string{request4 + "0104 0010 000102030405060708090a0b 0204 001c" + strings.Repeat("00", 24)},
			[]string{"client extensions=[map[name:unique_identifier size:16 type:260] map[name:nts_cookie size:28 type:516]] -key_id"},
			"",
		},
		{
			"extension fields and MAC",
			[]string{request4 + "f323 001c" + strings.Repeat("00", 24) + "00000001 000102030405060708090a0b0c0d0e0f"},
			[]string{"client extensions=[map[size:28 type:62243]] key_id=1 mac=000102030405060708090a0b0c0d0e0f"},
			"",
		},
		{"extension too long", []string{request4 + "0104 0024" + strings.Repeat("00", 28)}, []string{"client"}, problemExtension},
		{"extension too short", []string{request4 + "0104 0000" + strings.Repeat("00", 28)}, []string{"client"}, problemExtension},
		{"odd octets", []string{request4 + "0102030405"}, []string{"client"}, problemMAC},
		{"too short", []string{request4[:95] + "0"}, nil, problemHeader},
		{"empty", []string{""}, nil, problemHeader},
		{"version 5", []string{"2b" + request4[2:]}, nil, problemVersion},
		// RFC 9327 figure 1: read variables, association 0.
		{
			"control",
			[]string{"26 02 0007 0000 0000 0000 0000", "26 82 0007 0615 0000 0000 0007 737472613d322c 00"},
			[]string{
				"control version=4 response=false opcode=read_variables sequence=7 count=0 -data",
				"control response=true error=false more=false status=1557 association_id=0 offset=0 count=7 data=stra=2, rtt_ns=1000000 -mac",
			},
			"",
		},
		{"control with digest", []string{"26 08 0007 0000 0000 0000 0003 616263 00 00000001 000102030405060708090a0b0c0d0e0f"}, []string{"control opcode=configure data=abc key_id=1 mac=000102030405060708090a0b0c0d0e0f"}, ""},
		{"control cut", []string{"26 82 0007 0615 0000 0000 0007 737472"}, []string{"control data=str count=7"}, problemCount},
		{"control error", []string{"26 df 0007 0400 0001 0000 0000"}, []string{"control response=true error=true opcode=unset_trap status=1024 association_id=1"}, ""},
		// ntp_request.h: a request for the list of monitored addresses, and a part of the answer.
		{"private", []string{"17 00 03 2a 0000 0000", "d7 85 03 2a 0002 0004 0001020304050607"}, []string{
			"private version=2 response=false request_code=42 implementation=3 items=0",
			"private response=true more=true authenticated=true sequence=5 items=2 item_size=4",
		}, ""},
		{"private cut", []string{"d7 05 03 2a 0002 0048 0001020304050607"}, []string{"private items=2 item_size=72"}, problemCount},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewDatagramRun(New())
			for i, d := range tt.datagrams {
				at := captured.Add(time.Duration(i) * time.Millisecond)
				if err := run.Feed(sessiontest.Datagram{Time: at, Side: session.Side(i % 2), Payload: unhex(t, d)}); err != nil {
					t.Fatal(err)
				}
			}
			if len(run.Emissions) != len(tt.want) {
				t.Fatalf("%d messages, want %d", len(run.Emissions), len(tt.want))
			}
			for i, want := range tt.want {
				sessiontest.CheckFields(t, &run.Emissions[i], want)
				if damaged := tt.anomaly != "" && tt.datagrams[0] != ""; run.Emissions[i].Truncated != damaged {
					t.Errorf("truncated is %v", run.Emissions[i].Truncated)
				}
			}
			var problems []string
			for _, a := range run.Anomalies {
				problems = append(problems, a.Detail)
			}
			if diff := cmp.Diff(strings.Fields(tt.anomaly), strings.Fields(strings.Join(problems, " "))); diff != "" && tt.anomaly != "" || tt.anomaly == "" && problems != nil {
				t.Errorf("anomalies (-want +got):\n%s", diff)
			}
		})
	}
}
