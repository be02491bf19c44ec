package tls

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

// FuzzParse feeds anything as two sides of a connection: the first octet says how
// it is cut, which side begins, and where something is missing.
func FuzzParse(f *testing.F) {
	add := func(s sessiontest.Stream) {
		var sides [2][]byte
		for _, segment := range s.Segments {
			if len(sides[segment.Side]) < 6000 {
				sides[segment.Side] = append(sides[segment.Side], segment.Data...)
			}
		}
		f.Add(sides[0], sides[1], byte(0))
		f.Add(sides[0], sides[1], byte(0xa5))
	}
	add(rfcStream(f, "simple"))
	add(rfcStream(f, "retry"))
	for _, s := range streams(f, ownCapture) {
		add(s)
	}
	folder := sessiontest.Corpus(f, corpusFolder)
	for _, file := range sessiontest.Captures(f, folder) {
		for i, s := range streams(f, file) {
			if i < 3 {
				add(s)
			}
		}
	}
	factory := New()
	f.Fuzz(func(t *testing.T, a, b []byte, how byte) {
		if len(a)+len(b) > 1<<16 {
			return
		}
		r := sessiontest.NewStreamRun(factory)
		step := 1 + int(how&0x3f)*37
		if how&0x3f == 0 {
			step = 1 << 16
		}
		for sides := [2][]byte{a, b}; len(sides[0])+len(sides[1]) > 0; {
			for side := range sides {
				n := min(step, len(sides[side]))
				if n == 0 {
					continue
				}
				gap := 0
				if how&0x40 != 0 && r.Calls == 3 {
					gap = n
				}
				_ = r.Feed(sessiontest.Segment{Side: session.Side(side), Data: sides[side][:n], Gap: gap, Fin: how&0x80 != 0 && n == len(sides[side])})
				sides[side] = sides[side][n:]
			}
		}
		r.Close(session.EndOfInput)
		summaries := 0
		for i := range r.Emissions {
			if err := sessiontest.CheckMessage(factory.Protocol(), r.Emissions[i].Kind, r.Emissions[i].Body); err != nil {
				t.Fatal(err)
			}
			if r.Emissions[i].Kind == "handshake" {
				summaries++
			}
		}
		if len(a)+len(b) > 0 && summaries != 1 {
			t.Fatalf("%d summaries", summaries)
		}
		if n := r.Bytes(); n > 1<<20+64*(len(a)+len(b)) {
			t.Fatalf("%d octets give %d", len(a)+len(b), n)
		}
	})
}

// FuzzCertificate reads anything as a certificate.
func FuzzCertificate(f *testing.F) {
	for _, s := range streams(f, ownCapture) {
		for _, der := range certificatesOf(s) {
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		m, _ := decodeCertificate(der)
		chain := &CertificateMessage{Certificates: []Certificate{*m}}
		if err := sessiontest.CheckMessage(New().Protocol(), "certificate", chain.AppendMsgpack(nil)); err != nil {
			t.Fatal(err)
		}
	})
}
