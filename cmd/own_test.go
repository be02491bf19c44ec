package cmd

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"

	"flowscope/config"
	"flowscope/ingest/filter"
)

func TestOwnTraffic(t *testing.T) {
	for _, test := range []struct {
		servers []string
		hubs    []string
		wanted  string
		capture bool
		want    string
	}{
		{nil, nil, "", false, ""},
		{nil, nil, "udp", false, "udp"},
		{[]string{"nats://192.0.2.1"}, []string{"nats://192.0.2.9"}, "", false, "not ((tcp and ((src host 192.0.2.77 and dst host 192.0.2.1 and dst port 4222) or (src host 192.0.2.1 and src port 4222 and dst host 192.0.2.77))))"},
		{[]string{"nats://192.0.2.1"}, nil, "", true, ""},
		{nil, []string{"tls://192.0.2.9", "wss://192.0.2.9", "nats://192.0.2.8:1"}, "udp", false, "(udp) and not ((tcp and ((src host 192.0.2.77 and dst host 192.0.2.8 and dst port 1) or (src host 192.0.2.8 and src port 1 and dst host 192.0.2.77))) or (tcp and ((src host 192.0.2.77 and dst host 192.0.2.9 and dst port 443) or (src host 192.0.2.9 and src port 443 and dst host 192.0.2.77))) or (tcp and ((src host 192.0.2.77 and dst host 192.0.2.9 and dst port 7422) or (src host 192.0.2.9 and src port 7422 and dst host 192.0.2.77))))"},
		{
			[]string{"wss://192.0.2.2", "tls://[2001:db8::1]:5000", "wss://192.0.2.2"},
			nil, "port 53 or 80", false,
			"(port 53 or 80) and not ((tcp and ((src host 192.0.2.77 and dst host 192.0.2.2 and dst port 443) or (src host 192.0.2.2 and src port 443 and dst host 192.0.2.77))) or (tcp and ((src host 2001:db8::9 and dst host 2001:db8::1 and dst port 5000) or (src host 2001:db8::1 and src port 5000 and dst host 2001:db8::9))))",
		},
	} {
		c := config.Default()
		c.Publish.Servers, c.Capture.OwnTraffic, c.Publish.Embedded.Leaf.Servers = test.servers, test.capture, test.hubs
		l := &live{settled: &settled{Config: c}, log: slog.New(slog.DiscardHandler), dest: &destination{peers: newPeers()}}
		l.source = func(_ context.Context, to string) netip.Addr {
			if netip.MustParseAddrPort(to).Addr().Is6() {
				return netip.MustParseAddr("2001:db8::9")
			}
			return netip.MustParseAddr("::ffff:192.0.2.77")
		}
		got := joined(test.wanted, l.ownExpression(t.Context(), test.capture))
		if got != test.want {
			t.Errorf("%v: %s", test.servers, got)
		}
		if _, err := filter.Parse(got); err != nil {
			t.Error(err)
		}
	}
}

// TestBetween finds its own connections on either side, those of others not, and where
// it has no address of its own all to the server.
func TestBetween(t *testing.T) {
	here, server := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::ffff:192.0.2.1")
	if got := between(netip.Addr{}, server, "4222"); got != "tcp and host 192.0.2.1 and port 4222" {
		t.Error(got)
	}
	if got := sourceAddress(t.Context(), "127.0.0.1:4222"); got != here {
		t.Errorf("from %v to loopback", got)
	}
	if got := sourceAddress(t.Context(), "no address"); got.IsValid() {
		t.Errorf("from %v to nowhere", got)
	}
	// An Ethernet frame with an IPv4 header and the ports of a TCP header.
	frame := func(from, to string, fromPort, toPort uint16) []byte {
		b := make([]byte, 14+20+20)
		b[12], b[13], b[14], b[23], b[46] = 8, 0, 0x45, 6, 0x50
		binary.BigEndian.PutUint16(b[16:], 40)
		copy(b[26:], netip.MustParseAddr(from).AsSlice())
		copy(b[30:], netip.MustParseAddr(to).AsSlice())
		binary.BigEndian.PutUint16(b[34:], fromPort)
		binary.BigEndian.PutUint16(b[36:], toPort)
		return b
	}
	expression, err := filter.Parse("not (" + between(netip.MustParseAddr("192.0.2.77"), server, "4222") + ")")
	if err != nil {
		t.Fatal(err)
	}
	program, err := expression.Compile(1, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from, to         string
		fromPort, toPort uint16
		captured         bool
	}{
		{"192.0.2.77", "192.0.2.1", 40000, 4222, false},
		{"192.0.2.1", "192.0.2.77", 4222, 40000, false},
		{"192.0.2.5", "192.0.2.1", 40000, 4222, true},
		{"192.0.2.1", "192.0.2.5", 4222, 40000, true},
		{"192.0.2.1", "192.0.2.77", 40000, 4222, true},
		{"192.0.2.77", "192.0.2.1", 40000, 22, true},
	} {
		b := frame(test.from, test.to, test.fromPort, test.toPort)
		if got := program.Match(b, len(b)); got != test.captured {
			t.Errorf("%+v: captured is %v", test, got)
		}
	}
}
