package publish

import (
	"net/netip"
	"slices"

	"flowscope/flow"
	"flowscope/session/pack"
)

const (
	// flowIDStart is where the hex digits of the id stand in a flow map: behind
	// its header of three bytes, the key and the header of the string.
	flowIDStart = 3 + 3 + 2
	flowIDLen   = 2 * len(flow.ID{})
)

// flowMap keeps the latest flow's map encoded, which often has several events in
// a row. To keep more of them was tried: encoding anew is cheaper than the cache
// miss.
type flowMap struct {
	id     flow.ID
	buf    []byte
	source sourcePair
}

// sourcePair keeps the pair with the source encoded, which many flows share.
type sourcePair struct {
	source string
	buf    []byte
}

func (p *sourcePair) encoded(source string) []byte {
	if !same(p.source, source) || p.buf == nil {
		p.source = source
		p.buf = pack.TextString(append(p.buf[:0], "\xa6source"...), source)
	}
	return p.buf
}

// encoded returns the flow's map, valid until the next call.
func (m *flowMap) encoded(f *flow.Info) []byte {
	changes := len(f.Tunnels) > 0 || f.Quoted != nil // may say more than the last time
	if m.id != f.ID || len(m.buf) == 0 || f.ID == (flow.ID{}) || changes {
		m.buf = appendFlow(m.buf[:0], f, &m.source)
		m.id = f.ID
	}
	return m.buf
}

// appendFlow appends the envelope's flow map.
func appendFlow(b []byte, f *flow.Info, source *sourcePair) []byte {
	start := len(b)
	pairs := 2 // id, transport
	b = append(b, "\xde\x00\x00\xa2id\xd9\x20"...)
	b = appendHexID(b, (*[16]byte)(&f.ID))
	if f.HasCommunityID {
		pairs++
		b = append(b, "\xaccommunity_id\xbe1:"...)
		b = appendBase64Digest(b, (*[20]byte)(&f.CommunityID))
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
	if f.Quoted != nil {
		pairs++
		b = appendQuoted(b, f.Quoted)
	}
	if f.Source != "" {
		pairs++
		b = append(b, source.encoded(f.Source)...)
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
		b = append(append(b, ipKey...), 0)
		at := len(b)
		b = appendAddress(b, end.Addr())
		b[at-1] = 0xa0 | byte(len(b)-at)
		if len(b)-at > 31 { // an IPv6 address with all its digits, or a zone
			b = slices.Insert(b, at-1, 0xd9)
			b[at] = byte(len(b) - at - 1)
		}
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
	start, pairs := len(b), byte(1)
	b = append(b, "\x80\xa4type"...)
	b = pack.TextString(b, t.Type)
	if t.ID != 0 {
		pairs++
		b = append(b, "\xa2id"...)
		b = pack.Uint(b, t.ID)
	}
	for side, key := range [2]string{"\xadids_initiator", "\xadids_responder"} {
		ids := t.SideIDs[side]
		if len(ids) == 0 {
			continue
		}
		pairs++
		b = append(b, key...)
		b = pack.ArrayHeader(b, len(ids))
		for _, id := range ids {
			b = pack.Uint(b, uint64(id))
		}
	}
	b[start] |= pairs
	return b
}

// appendQuoted appends the key and the map of the flow that an ICMP error quotes.
func appendQuoted(b []byte, q *flow.Quoted) []byte {
	b = append(b, "\xa6quoted"...)
	start, pairs := len(b), 1
	b = append(b, 0x80)
	if q.HasID {
		pairs++
		b = append(b, "\xa2id\xd9\x20"...)
		b = appendHexID(b, (*[16]byte)(&q.ID))
	}
	if q.HasCommunityID {
		pairs++
		b = append(b, "\xaccommunity_id\xbe1:"...)
		b = appendBase64Digest(b, (*[20]byte)(&q.CommunityID))
	}
	b = append(b, "\xa9transport"...)
	b = appendTransport(b, q.Transport)
	b, pairs = appendEnd(b, "\xa6src_ip", "\xa8src_port", q.Src, q.Transport, pairs)
	b, pairs = appendEnd(b, "\xa6dst_ip", "\xa8dst_port", q.Dst, q.Transport, pairs)
	b[start] |= byte(pairs)
	return b
}
