package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// emptyLedger is the published form of the ledger, in its order, without time.
const emptyLedger = `{"sensor":"","run":"","time":"0001-01-01T00:00:00Z",` +
	`"packets":{"received":0,"handled":0,"filtered":0,"shed":0,"duplicate":0,"not_ip":0,"fragments_held":0,"undecodable":{},"dropped_kernel":0,"unseen":0,"checksums":{}},` +
	`"flows":{"started":0,"ended":{},"active":0,"shed":0},` +
	`"events":{"made":0,"filtered":{},"acknowledged":0,"sent":0,"written":0,"dead_letter":0,"pending":0,"dropped":{},"resent":0,"duplicates":0,"possibly_doubled":0},` +
	`"payload_bytes":{"seen":0,"delivered":0,"duplicate":0,"no_parser":0,"discarded":{},"buffered":0},` +
	`"gap_bytes":0,"subjects":{},"seconds":0,"peak_rss_bytes":0}`

// fullLedger has another number in each field; it balances.
func fullLedger() *Ledger {
	return &Ledger{
		Sensor: "edge-1", Run: "r1", Time: time.Date(2026, 11, 23, 10, 0, 0, 5, time.UTC),
		Packets: Packets{
			Received: 1036, Handled: 1000, Filtered: 1, Shed: 2, Duplicate: 3, NotIP: 4, FragmentsHeld: 5,
			Undecodable: Reasons{"truncated": 6, "bad_header": 7}, DroppedKernel: 8, Unseen: 27, Checksums: Reasons{"tcp": 3},
		},
		Flows: Flows{Started: 60, Ended: Reasons{"fin": 10, "idle": 20}, Active: 30, Shed: 9},
		Events: Events{
			Made: 2145, Filtered: Reasons{"only": 11, "events": 12}, Acknowledged: 2000, Sent: 13, Written: 14,
			DeadLetter: 15, Pending: 16, Dropped: Reasons{"queue_full": 64},
			Resent: 17, Duplicates: 18, PossiblyDoubled: 19,
		},
		Payload:  PayloadBytes{Seen: 5110, Delivered: 5000, Duplicate: 20, NoParser: 21, Discarded: Reasons{"gap": 22, "cap": 24}, Buffered: 23},
		GapBytes: 25, Subjects: map[string]uint64{"flowscope.dns.query": 26},
		Last:    []LastNumber{{"flowscope.dns.query", 0, 6, 0}, {"flowscope.dns.query", 1, 20, 3}},
		Seconds: 1.5, PeakRSS: 1 << 33,
	}
}

func TestLedgerJSON(t *testing.T) {
	got, err := json.Marshal(&Ledger{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(emptyLedger, string(got)); diff != "" {
		t.Errorf("empty ledger (-want +got):\n%s", diff)
	}
	data, err := json.Marshal(fullLedger())
	if err != nil {
		t.Fatal(err)
	}
	var back Ledger
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullLedger(), &back); diff != "" {
		t.Errorf("and back (-want +got):\n%s", diff)
	}
}

// The msgpack of the ledger, unpacked by another implementation, is what the
// JSON of the ledger says.
func TestLedgerMsgpack(t *testing.T) {
	for _, l := range []*Ledger{{Time: time.Unix(0, 0).UTC()}, fullLedger()} {
		dec := msgpack.NewDecoder(bytes.NewReader(l.AppendMsgpack(nil)))
		dec.UseLooseInterfaceDecoding(true)
		v, err := dec.DecodeMap()
		if err != nil {
			t.Fatal(err)
		}
		if ts, ok := v["time"].(time.Time); !ok || !ts.Equal(l.Time) {
			t.Errorf("time %v, want %v", v["time"], l.Time)
		}
		v["time"] = l.Time
		fromPack, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fromLedger, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(fromPack, &a), json.Unmarshal(fromLedger, &b)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("msgpack differs from JSON (-json +msgpack):\n%s", diff)
		}
	}
}

func TestLedgerBalance(t *testing.T) {
	tests := []struct {
		name        string
		change      func(*Ledger)
		account     string
		left, right uint64
	}{
		{"packets in", func(l *Ledger) { l.Packets.Received++ }, "packets", 1037, 1036},
		{"packets out", func(l *Ledger) { l.Packets.Undecodable["truncated"]++ }, "packets", 1036, 1037},
		{"flows", func(l *Ledger) { l.Flows.Active-- }, "flows", 60, 59},
		{"events", func(l *Ledger) { l.Events.Pending = 0 }, "events", 2145, 2129},
		{"payload", func(l *Ledger) { l.Payload.Discarded["gap"] = 0 }, "payload_bytes", 5110, 5088},
	}
	if err := fullLedger().Balance(); err != nil {
		t.Errorf("balanced ledger: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := fullLedger()
			tt.change(l)
			var off *BalanceError
			if err := l.Balance(); !errors.As(err, &off) {
				t.Fatalf("Balance: %v", err)
			}
			if off.Account != tt.account || off.Left != tt.left || off.Right != tt.right {
				t.Errorf("got %+v, want %s, %d and %d", off, tt.account, tt.left, tt.right)
			}
			if s := off.Error(); !strings.Contains(s, tt.account) {
				t.Errorf("message %q does not name %s", s, tt.account)
			}
		})
	}
}

func TestLedgerAdd(t *testing.T) {
	var sum Ledger
	sum.Add(fullLedger())
	if diff := cmp.Diff(fullLedger(), &sum); diff != "" {
		t.Errorf("nothing + ledger (-want +got):\n%s", diff)
	}
	sum.Add(fullLedger())
	if err := sum.Balance(); err != nil {
		t.Error(err)
	}
	if sum.Packets.Received != 2072 || sum.Events.Filtered["only"] != 22 || sum.Subjects["flowscope.dns.query"] != 52 || sum.Seconds != 1.5 {
		t.Errorf("sum %+v", sum)
	}
}

func TestLedgerText(t *testing.T) {
	text := string(fullLedger().AppendText(nil))
	for _, want := range []string{
		"packets                   1,036  received\n",
		"                              6  undecodable: truncated\n",
		"events                    2,145  made\n",
		"                             16  NOT DELIVERED (pending)\n",
		"                             26  flowscope.dns.query\n",
		"1.500 s, 691 packets/s, 1430 events/s\n",
		"peak memory 8192.0 MiB\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "do not balance") {
		t.Errorf("a balanced ledger says otherwise:\n%s", text)
	}
}
