package flow

import (
	"testing"

	"flowscope/ingest"
)

// The targets below fuzz one decoder each, from where its header begins;
// FuzzDecode takes whole frames through all of them. Seeds are the frames of the
// captures, cut to where such headers stand.

// seedInner adds what stands behind the link header of each capture's first
// packets.
func seedInner(f *testing.F) {
	for _, name := range corpusFiles(f) {
		n := 0
		eachPacket(f, name, func(p ingest.Packet) {
			if n++; n > 2 {
				return
			}
			h := header{data: p.Data, wire: p.Length}
			var layers path
			if linkHeader(p.Interface.LinkType, &h) == Handled && h.toIP(&layers) == Handled {
				f.Add(h.data)
			}
		})
	}
}

// checkDecoded holds what must be true of any outcome.
func checkDecoded(t *testing.T, d *decoded, o Outcome, frame []byte) {
	t.Helper()
	if o >= numOutcomes {
		t.Fatalf("outcome %d", o)
	}
	if o == Handled && (d.payloadLength < len(d.payload) || len(d.payload) > len(frame)) {
		t.Fatalf("payload of %d bytes, length %d, in %d bytes", len(d.payload), d.payloadLength, len(frame))
	}
	if d.path.vlans > maxVLANs || d.path.tunnels > maxTunnels || d.path.labels > maxLabels {
		t.Fatalf("%d VLANs, %d tunnels, %d labels", d.path.vlans, d.path.tunnels, d.path.labels)
	}
}

func FuzzLink(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, link uint32, frame []byte) {
		h := header{data: frame[:len(frame):len(frame)], wire: len(frame)}
		var p path
		if linkHeader(ingest.LinkType(link), &h) == Handled && h.toIP(&p) == Handled && len(h.data) > len(frame) {
			t.Fatal("more than there is")
		}
	})
}

func FuzzIP(f *testing.F) {
	seedInner(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		d := decoded{verify: true}
		h := header{kind: ipPacket, data: packet[:len(packet):len(packet)], wire: len(packet)}
		o := ip(&h, &d)
		if h.kind == transportDone {
			checkDecoded(t, &d, o, packet)
		}
	})
}

func FuzzTunnel(f *testing.F) {
	seedInner(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, tunnel := range []func(*header, *path) (Outcome, bool){udpTunnel, gre} {
			h := header{data: packet[:len(packet):len(packet)], wire: len(packet)}
			var p path
			if o, peeled := tunnel(&h, &p); peeled && (o >= numOutcomes || p.tunnels != 1 || len(h.data) > len(packet)) {
				t.Fatalf("outcome %v, %d tunnels, %d bytes of %d", o, p.tunnels, len(h.data), len(packet))
			}
		}
	})
}

func FuzzTransport(f *testing.F) {
	for _, name := range corpusFiles(f) {
		n := 0
		eachPacket(f, name, func(p ingest.Packet) {
			if n++; n <= 2 && len(p.Data) > 34 {
				f.Add(uint8(p.Data[23]), p.Data[34:])
			}
		})
	}
	f.Fuzz(func(t *testing.T, proto uint8, segment []byte) {
		for _, ip6 := range []uint8{0, 1} {
			d := decoded{verify: true}
			h := header{data: segment[:len(segment):len(segment)], wire: len(segment)}
			addr := make([]byte, 4+12*int(ip6))
			d.endpoints(proto, addr, addr, ip6)
			checkDecoded(t, &d, d.transport(&h, Transport(proto)), segment)
		}
	})
}

func FuzzQuotation(f *testing.F) {
	seedInner(f)
	c := decoder{seed: newSeed()}
	f.Fuzz(func(t *testing.T, packet []byte) {
		d := decoded{payload: packet[:len(packet):len(packet)]}
		var q decoded
		ported, ok := c.quotation(&d, &q)
		if ported && !ok {
			t.Fatal("ports of what cannot be read")
		}
		if ok && !q.key.addrA().IsValid() {
			t.Fatal("no address")
		}
	})
}

// FuzzConnection feeds a connection with segments of any numbers and flags, and
// holds that its summary stays one.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 0, 0, 1, 0x12, 0, 1, 0, 1, 0, 0x10, 1, 1, 0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		var c conn
		c.begin(len(script)%2 == 1)
		for ; len(script) >= 6; script = script[6:] {
			d := decoded{
				tcpFlags: script[1], seq: uint32(script[2])<<24 | uint32(script[3]), ack: uint32(script[4])<<24 | uint32(script[5]),
				payloadLength: int(script[0] >> 2), window: uint16(script[5]) << 4, windowScale: int8(script[0]>>1&15) - 1,
			}
			side := Side(script[0] & 1)
			c.follow(&d, side, d.tcpFlags&tcpRST == 0 || c.resetIsValid(&d, side), second(0))
			if s := c.connState(); s >= numConnStates {
				t.Fatalf("state %d", s)
			}
		}
		if h := c.stats.History.String(); len(h) > maxHistory {
			t.Fatalf("history %q", h)
		}
	})
}
