package dns

import (
	"strings"
	"testing"
	"time"

	"flowscope/session"

	"github.com/google/go-cmp/cmp"
)

func TestProbe(t *testing.T) {
	query, response := benchQuery(t), benchResponse(t)
	// A NetBIOS name query, RFC 1002 section 4.2.12.
	netbios := unhex(t, "0001 0110 0001 0000 0000 0000 20"+strings.Repeat("4341", 16)+"00 0020 0001")
	trailing := append(query[:len(query):len(query)], 0)
	const udp, tcp = session.UDP, session.TCP
	tests := []struct {
		name      string
		data      []byte
		src, dst  uint16
		transport session.Transport
		want      string
	}{
		{"query on 53", query, 40000, 53, udp, "dns"},
		{"response first", response, 53, 40000, udp, "dns"},
		{"query from 5353 to 53", query, 5353, 53, udp, "dns"},
		{"query elsewhere", query, 40000, 10053, udp, "dns"},
		{"response elsewhere", response, 10053, 40000, udp, "dns"},
		{"trailing octet on 53", trailing, 40000, 53, udp, "dns"},
		{"trailing octet elsewhere", trailing, 40000, 10053, udp, ""},
		{"cut on 53", query[:20], 40000, 53, udp, "dns"},
		{"cut elsewhere", query[:20], 40000, 10053, udp, ""},
		{"bad label on 53", append(query[:12:12], 0x81, 0x82), 40000, 53, udp, "dns"},
		{"header alone on 53", make([]byte, 12), 40000, 53, udp, "dns"},
		{"zeros on 53", make([]byte, 100), 40000, 53, udp, ""},
		{"text on 53", []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), 40000, 53, udp, ""},
		{"too short on 53", query[:11], 40000, 53, udp, ""},
		{"empty", nil, 40000, 53, udp, ""},
		{"unassigned opcode, well-formed", append([]byte{query[0], query[1], 0x78, 0}, query[4:]...), 40000, 53, udp, "dns"},
		{"unassigned opcode, cut", append([]byte{query[0], query[1], 0x78, 0}, query[4:20]...), 40000, 53, udp, ""},
		{"mDNS", query, 5353, 5353, udp, "mdns"},
		{"mDNS, legacy", query, 40000, 5353, udp, "mdns"},
		{"LLMNR", query, 40000, 5355, udp, "llmnr"},
		{"NetBIOS", netbios, 137, 137, udp, ""},
		{"NetBIOS from another port", netbios, 40000, 137, udp, ""},
		{"TCP", query, 40000, 53, tcp, ""},
	}
	factories := []session.Factory{New(), NewMDNS(), NewLLMNR()}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range factories {
				if f.Probe(&session.Sample{Data: tt.data, SrcPort: tt.src, DstPort: tt.dst, Transport: tt.transport}) == session.Match {
					got = append(got, f.Protocol().Name)
				}
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("matches %q, want %q", s, tt.want)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	if _, err := session.NewRegistry(New(), NewMDNS(), NewLLMNR()); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // part of the error, "" for none
	}{
		{"default", func(*Config) {}, ""},
		{"no time", func(c *Config) { c.UnansweredAfter = 0 }, "unanswered_after"},
		{"too long", func(c *Config) { c.UnansweredAfter = time.Hour }, "unanswered_after"},
		{"none pending", func(c *Config) { c.MaxPending = 0 }, "max_pending"},
		{"too many pending", func(c *Config) { c.MaxPending = 100000 }, "max_pending"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := New()
			c := f.Config().(*Config)
			tt.change(c)
			g, err := f.WithConfig(c)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error is %v, want one about %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, g.(*Factory).Config()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if _, err := New().WithConfig(Config{}); err == nil {
		t.Error("a Config that is no pointer is taken")
	}
}
