package tls

import (
	"encoding/hex"
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// The messages of RFC 8448 section 3, a simple handshake.
const (
	rfcClientHello = `
		010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b0009
		000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381de560
		e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e0403050306030203080408050806040105
		01060102010402050206020202002d00020101001c00024001`
	rfcServerHello = `
		020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c982887611
		2095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304`
)

// The messages of section 5, with a HelloRetryRequest.
const (
	rfcClientHello1 = `
		010000b00303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f000006130113031302010000810000000b0009
		000006736572766572ff01000100000a00080006001d00170018003300260024001d0020e8e8e3f3b93a25ed97a14a7dcacb8a272c6288e585
		c6484d05262fcad062ad1f002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d00
		020101001c00024001`
	rfcRetry = `
		020000ac0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c001301000084003300020017002c0074007271
		dcd04bb88bc3189119398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b5b40318d10d137
		abcbb87574e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f934b000
		2b00020304`
	rfcClientHello2 = `
		010001fc0303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f000006130113031302010001cd0000000b0009
		000006736572766572ff01000100000a00080006001d001700180033004700450017004104a6da7392ec591e17abfd535964b99894d13befb2
		21b3def2ebe3830eac8f0151812677c4d6d2237e85cf01d6910cfb83954e76ba7352830534159897e8065780002b0003020304000d0020001e
		040305030603020308040805080604010501060102010402050206020202002c0074007271dcd04bb88bc3189119398a00000000eefafc76c1
		46b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b5b40318d10d137abcbb87574e36e8a1f025f7dfa5d6e50781b5eda
		4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f934b0002d00020101001c00024001001500af`
	rfcServerHello2 = `
		020000770303bb341d847fd789c47c387172dc0c9bf147fccacb5043d86ca4c598d3ff571b9800130100004f003300450017004104583e054b
		7a66672ae020ad9d2686fcc85b5ad41a134a0f03ee72b893052bd85b4c8de6776f5b04ac07d83540eab3e3d9c547bc6528c4317d294686093a
		6cad7d002b00020304`
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// record puts a fragment into a record.
func record(kind byte, version uint16, fragment ...byte) []byte {
	return append([]byte{kind, byte(version >> 8), byte(version), byte(len(fragment) >> 8), byte(len(fragment))}, fragment...)
}

// rfcFlight is a stream with the messages of RFC 8448 in clear, followed by
// encrypted records of the sizes that it has.
func rfcStream(tb testing.TB, name string) sessiontest.Stream {
	from := func(side session.Side, parts ...[]byte) sessiontest.Segment {
		var b []byte
		for _, p := range parts {
			b = append(b, p...)
		}
		return sessiontest.Segment{Side: side, Data: b}
	}
	client, server := session.Initiator, session.Responder
	sealed := func(n int) []byte { return record(typeApplicationData, tls12, make([]byte, n)...) }
	if name == "retry" {
		hello2 := append(unhex(tb, rfcClientHello2), make([]byte, 0xaf)...)
		return sessiontest.Stream{Name: name, SrcPort: 40000, DstPort: 443, Segments: []sessiontest.Segment{
			from(client, record(typeHandshake, tls10, unhex(tb, rfcClientHello1)...)),
			from(server, record(typeHandshake, tls12, unhex(tb, rfcRetry)...)),
			from(client, record(typeHandshake, tls12, hello2...)),
			from(server, record(typeHandshake, tls12, unhex(tb, rfcServerHello2)...), sealed(645)),
			from(client, sealed(53)),
		}}
	}
	return sessiontest.Stream{Name: name, SrcPort: 40000, DstPort: 443, Segments: []sessiontest.Segment{
		from(client, record(typeHandshake, tls10, unhex(tb, rfcClientHello)...)),
		from(server, record(typeHandshake, tls12, unhex(tb, rfcServerHello)...), sealed(674)),
		from(client, sealed(53)),
		from(client, sealed(67)),
	}}
}

// decoded returns the messages of a run as Go values.
func decoded(tb testing.TB, r *sessiontest.StreamRun) (list []session.Message) {
	tb.Helper()
	for _, e := range r.Emissions {
		var m session.Message
		switch e.Kind {
		case "client_hello":
			m = new(ClientHello)
		case "server_hello":
			m = new(ServerHello)
		case "hello_retry_request":
			m = new(HelloRetryRequest)
		case "certificate":
			m = new(CertificateMessage)
		case "alert":
			m = new(Alert)
		case "handshake":
			m = new(Handshake)
		}
		if err := msgpack.Unmarshal(e.Body, m); err != nil {
			tb.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func TestRFC8448(t *testing.T) {
	r := sessiontest.NewStreamRun(New())
	if err := r.Play(rfcStream(t, "simple")); err != session.ErrDone {
		t.Fatalf("the parser ends with %v", err)
	}
	got := decoded(t, r)
	if len(got) != 3 {
		t.Fatalf("%d messages", len(got))
	}
	hello := got[0].(*ClientHello)
	hello.JA3, hello.JA4 = "", "" // the RFC knows none
	wantHello := &ClientHello{
		RecordVersion: "TLS 1.0", Version: "TLS 1.2", SNI: "server",
		CipherSuites:        []uint32{0x1301, 0x1303, 0x1302},
		Extensions:          []uint16{0, 65281, 10, 35, 51, 43, 13, 45, 28},
		SupportedGroups:     []uint16{29, 23, 24, 25, 256, 257, 258, 259, 260},
		SignatureAlgorithms: []uint16{0x403, 0x503, 0x603, 0x203, 0x804, 0x805, 0x806, 0x401, 0x501, 0x601, 0x201, 0x402, 0x502, 0x602, 0x202},
		KeyShareGroups:      []uint16{29}, SupportedVersions: []string{"TLS 1.3"},
	}
	if diff := cmp.Diff(wantHello, hello); diff != "" {
		t.Errorf("ClientHello (-want +got):\n%s", diff)
	}
	server := got[1].(*ServerHello)
	server.JA3S = ""
	wantServer := &ServerHello{Answer: Answer{
		RecordVersion: "TLS 1.2", Version: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Extensions: []uint16{51, 43},
		KeyShareGroup: "x25519",
	}}
	if diff := cmp.Diff(wantServer, server); diff != "" {
		t.Errorf("ServerHello (-want +got):\n%s", diff)
	}
	if h := got[2].(*Handshake); h.Outcome != OutcomeEstablished || h.Elapsed != 2e6 || h.SNI != "server" {
		t.Errorf("summary %+v", h)
	}
}

func TestRFC8448Retry(t *testing.T) {
	r := sessiontest.NewStreamRun(New())
	if err := r.Play(rfcStream(t, "retry")); err != session.ErrDone {
		t.Fatalf("the parser ends with %v", err)
	}
	var kinds []string
	for _, e := range r.Emissions {
		kinds = append(kinds, e.Kind)
	}
	if diff := cmp.Diff([]string{"client_hello", "hello_retry_request", "client_hello", "server_hello", "handshake"}, kinds); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	got := decoded(t, r)
	if m := got[1].(*HelloRetryRequest); m.KeyShareGroup != "secp256r1" || m.Version != "TLS 1.3" || !cmp.Equal(m.Extensions, []uint16{51, 44, 43}) {
		t.Errorf("retry request %+v", m)
	}
	if m := got[2].(*ClientHello); !m.Retried || m.JA3 != "" || !cmp.Equal(m.KeyShareGroups, []uint16{23}) || !cmp.Equal(m.Extensions, []uint16{0, 65281, 10, 51, 43, 13, 44, 45, 28, 21}) {
		t.Errorf("second hello %+v", m)
	}
	if m := got[4].(*Handshake); !m.Retried || m.Outcome != OutcomeEstablished || m.JA3 == "" || m.KeyShareGroup != "secp256r1" {
		t.Errorf("summary %+v", m)
	}
}
