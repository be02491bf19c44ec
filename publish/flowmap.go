package publish

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"flowscope/flow"
	"flowscope/session/pack"
)

const (
	// flowSlots is how many flows stay encoded: a power of two.
	flowSlots = 2048
	// flowSlotSize makes a slot six cache lines; a flow map of IPv6 with a name
	// of 70 bytes for its source fits in.
	flowSlotSize = 384 - 16 - 2

	// flowIDStart is where the hex digits of the id stand in a flow map: behind
	// its header of three bytes, the key and the header of the string.
	flowIDStart = 3 + 3 + 2
	flowIDLen   = 2 * len(flow.ID{})
)

// flowSlot holds one encoded flow map. n is 0 in an empty slot.
type flowSlot struct {
	id  flow.ID
	n   uint16
	buf [flowSlotSize]byte
}

// flowCache is a direct-mapped cache of encoded flow maps. Flow ids are digests,
// so eleven bits of one spread evenly; what collides is encoded again.
type flowCache struct {
	slots  []flowSlot
	latest []byte // the flow map that was encoded last
}

// encoded returns the flow's map, valid until the next call.
func (c *flowCache) encoded(f *flow.Info) []byte {
	s := &c.slots[binary.LittleEndian.Uint64(f.ID[:])%flowSlots]
	if s.n != 0 && s.id == f.ID {
		return s.buf[:s.n]
	}
	c.latest = appendFlow(c.latest[:0], f)
	if len(c.latest) <= len(s.buf) && f.ID != (flow.ID{}) {
		s.id, s.n = f.ID, uint16(len(c.latest))
		copy(s.buf[:], c.latest)
	}
	return c.latest
}

// appendFlow appends the envelope's flow map.
func appendFlow(b []byte, f *flow.Info) []byte {
	start := len(b)
	pairs := 2 // id, transport
	b = append(b, "\xde\x00\x00\xa2id\xd9\x20"...)
	b = hex.AppendEncode(b, f.ID[:])
	if f.HasCommunityID {
		pairs++
		b = append(b, "\xaccommunity_id\xbe1:"...)
		b = base64.StdEncoding.AppendEncode(b, f.CommunityID[:])
	}
	b = append(b, "\xa9transport"...)
	b = appendTransport(b, f.Transport)
	b, pairs = appendEnd(b, "\xa6src_ip", "\xa8src_port", f.Src, f.Transport, pairs)
	b, pairs = appendEnd(b, "\xa6dst_ip", "\xa8dst_port", f.Dst, f.Transport, pairs)
	if len(f.VLANs) != 0 {
		pairs++
		b = append(b, "\xa4vlan"...)
		b = pack.ArrayHeader(b, len(f.VLANs))
		for _, v := range f.VLANs {
			b = pack.Uint(b, uint64(v))
		}
	}
	if len(f.Tunnels) != 0 {
		pairs++
		b = append(b, "\xa7tunnels"...)
		b = pack.ArrayHeader(b, len(f.Tunnels))
		for i := range f.Tunnels {
			b = appendTunnel(b, &f.Tunnels[i])
		}
	}
	if f.Source != "" {
		pairs++
		b = append(b, "\xa6source"...)
		b = pack.TextString(b, f.Source)
	}
	b[start+2] = byte(pairs)
	return b
}

func appendTransport(b []byte, t flow.Transport) []byte {
	switch t {
	case flow.TCP:
		return append(b, "\xa3tcp"...)
	case flow.UDP:
		return append(b, "\xa3udp"...)
	default:
		return pack.String(b, t.String())
	}
}

// appendEnd appends the address and port of one end. An invalid address is left
// out, and so is a port 0 of transports that have none.
func appendEnd(b []byte, ipKey, portKey string, end netip.AddrPort, t flow.Transport, pairs int) ([]byte, int) {
	if end.Addr().IsValid() {
		pairs++
		var text [64]byte
		address := end.Addr().AppendTo(text[:0])
		b = pack.StringHeader(append(b, ipKey...), len(address))
		b = append(b, address...)
	}
	if end.Port() != 0 || hasPorts(t) {
		pairs++
		b = append(b, portKey...)
		b = pack.Uint(b, uint64(end.Port()))
	}
	return b, pairs
}

// hasPorts says whether port 0 means something: the number 0, or for ICMP a type
// or code 0.
func hasPorts(t flow.Transport) bool {
	switch t {
	case flow.TCP, flow.UDP, flow.SCTP, flow.ICMP, flow.ICMPv6:
		return true
	default:
		return false
	}
}

func appendTunnel(b []byte, t *flow.Tunnel) []byte {
	if t.ID == 0 {
		b = pack.MapHeader(b, 1)
		return pack.TextString(pack.String(b, "type"), t.Type)
	}
	b = pack.MapHeader(b, 2)
	b = pack.TextString(pack.String(b, "type"), t.Type)
	return pack.Uint(pack.String(b, "id"), t.ID)
}
