package dns

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	mdns "github.com/miekg/dns"
)

func newPacked(tb testing.TB, f func(m *mdns.Msg)) []byte {
	tb.Helper()
	m := new(mdns.Msg)
	m.Compress = true
	f(m)
	b, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustRR(tb testing.TB, s string) mdns.RR {
	tb.Helper()
	rr, err := mdns.NewRR(s)
	if err != nil {
		tb.Fatal(err)
	}
	return rr
}

func benchQuery(tb testing.TB) []byte {
	return newPacked(tb, func(m *mdns.Msg) {
		m.SetQuestion("www.example.com.", mdns.TypeA)
		m.Id = 4711
	})
}

func benchResponse(tb testing.TB) []byte {
	return newPacked(tb, func(m *mdns.Msg) {
		m.SetQuestion("www.example.com.", mdns.TypeA)
		m.Id, m.Response, m.RecursionAvailable = 4711, true, true
		m.Answer = append(m.Answer,
			mustRR(tb, "www.example.com. 300 IN A 93.184.216.34"),
			mustRR(tb, "www.example.com. 300 IN A 93.184.216.119"))
	})
}

func benchLarge(tb testing.TB) []byte {
	return newPacked(tb, func(m *mdns.Msg) {
		m.SetQuestion("example.com.", mdns.TypeMX)
		m.Id, m.Response = 4711, true
		for _, s := range []string{
			"example.com. 300 IN MX 10 mail.example.com.",
			"example.com. 300 IN TXT \"v=spf1 include:_spf.example.net ~all\"",
			"example.com. 300 IN SOA ns1.example.com. hostmaster.example.com. 2026112301 7200 3600 1209600 300",
			"example.com. 300 IN RRSIG MX 8 2 300 20261201000000 20261101000000 12345 example.com. aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=",
			"mail.example.com. 300 IN AAAA 2001:db8::1:2",
			"mail.example.com. 300 IN A 192.0.2.1",
			"example.com. 300 IN NS ns1.example.com.",
			"example.com. 300 IN NS ns2.example.com.",
			"example.com. 300 IN HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1",
		} {
			m.Answer = append(m.Answer, mustRR(tb, s))
		}
		m.SetEdns0(1232, true)
	})
}

func benchmark(b *testing.B, f session.DatagramParserFactory, payloads ...[]byte) {
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := f.NewDatagramParser()
	b.ReportAllocs()
	for i := range b.N {
		side := session.Side(i % len(payloads))
		out.Begin(session.Timestamp(i+1)*1000, side, false)
		_ = p.Parse(payloads[side], side, out)
	}
	if d.Messages < b.N {
		b.Fatalf("%d messages of %d", d.Messages, b.N)
	}
}

// BenchmarkQuery decodes, remembers and encodes queries; all but the first are
// retransmissions.
func BenchmarkQuery(b *testing.B) { benchmark(b, New(), benchQuery(b)) }

// BenchmarkTransaction alternates between a query and its response; the figure
// is per message.
func BenchmarkTransaction(b *testing.B) { benchmark(b, New(), benchQuery(b), benchResponse(b)) }

// BenchmarkResponse decodes and encodes one question and two answers.
func BenchmarkResponse(b *testing.B) { benchmark(b, New(), benchResponse(b)) }

// BenchmarkLargeResponse decodes and encodes nine records of nine types.
func BenchmarkLargeResponse(b *testing.B) { benchmark(b, New(), benchLarge(b)) }

func BenchmarkDecodeResponse(b *testing.B) {
	s := new(scratch)
	p := benchResponse(b)
	b.ReportAllocs()
	for b.Loop() {
		s.decode(p, &s.response.Message)
	}
}

func BenchmarkEncodeResponse(b *testing.B) {
	s := new(scratch)
	s.decode(benchResponse(b), &s.response.Message)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = s.response.AppendMsgpack(buf[:0])
	}
}

// BenchmarkProbe judges a query on the well-known port.
func BenchmarkProbe(b *testing.B) {
	f := New()
	s := session.Sample{Data: benchQuery(b), SrcPort: 40000, DstPort: 53, Transport: session.UDP}
	b.ReportAllocs()
	for b.Loop() {
		if f.Probe(&s) != session.Match {
			b.Fatal("no match")
		}
	}
}

// BenchmarkOracle is the yardstick: the same response unpacked by miekg/dns.
func BenchmarkOracle(b *testing.B) {
	p := benchResponse(b)
	b.ReportAllocs()
	for b.Loop() {
		var m mdns.Msg
		if err := m.Unpack(p); err != nil {
			b.Fatal(err)
		}
	}
}
