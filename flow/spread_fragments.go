package flow

import (
	"encoding/binary"

	"flowscope/ingest"
)

// maxSpreadFragments is how many fragmented datagrams a Spreader remembers.
const maxSpreadFragments = 4096

// Spreader is Spread with a memory, for a reader that sees the whole input: the
// fragments of a datagram that carries a tunnel go where the packet inside
// belongs, if the first fragment comes before the others. It is used by one
// goroutine.
type Spreader struct {
	hashes map[fragmentKey]uint64
	order  [maxSpreadFragments]fragmentKey
	next   int
}

// NewSpreader returns a Spreader.
func NewSpreader() *Spreader {
	return &Spreader{hashes: map[fragmentKey]uint64{}}
}

// Spread returns the hash of a packet.
func (s *Spreader) Spread(p *ingest.Packet) uint64 {
	h := header{data: p.Data, wire: p.Length}
	var layers path
	if linkHeader(p.Interface.LinkType, &h) != Handled || h.toIP(&layers) != Handled {
		return 0
	}
	key, offset, payload, ok := spreadFragment(h.data)
	if !ok {
		return spreadPacket(&h, &layers)
	}
	if offset > 0 {
		if hash, known := s.hashes[key]; known {
			return hash
		}
		return spreadAddresses(h.data)
	}
	hash := spreadAddresses(h.data)
	if key.proto == byte(UDP) {
		// The rest of the packet is still to come: only its addresses matter.
		inner := header{data: payload, wire: maxDatagram}
		if inner.gatewayTunnel(&layers) {
			hash = spreadAddresses(inner.data)
		}
	}
	s.remember(key, hash)
	return hash
}

func (s *Spreader) remember(key fragmentKey, hash uint64) {
	if _, known := s.hashes[key]; !known {
		delete(s.hashes, s.order[s.next])
		s.order[s.next] = key
		s.next = (s.next + 1) % maxSpreadFragments
	}
	s.hashes[key] = hash
}

// spreadFragment says whether an IP packet is a fragment, of which datagram, and
// what follows its headers.
func spreadFragment(b []byte) (key fragmentKey, offset int, payload []byte, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		field, n := binary.BigEndian.Uint16(b[6:]), int(b[0]&15)*4
		if field&0x3fff == 0 || n < 20 || n > len(b) {
			return key, 0, nil, false
		}
		key = fragmentKey{id: uint32(binary.BigEndian.Uint16(b[4:])), proto: b[9]}
		copy(key.src[:], b[12:16])
		copy(key.dst[:], b[16:20])
		return key, int(field & 0x1fff), b[n:], true
	case len(b) >= 48 && b[0]>>4 == 6 && b[6] == 44:
		field := binary.BigEndian.Uint16(b[42:])
		if field&0xfff9 == 0 {
			return key, 0, nil, false
		}
		key = fragmentKey{id: binary.BigEndian.Uint32(b[44:]), proto: b[40], ip6: 1}
		copy(key.src[:], b[8:24])
		copy(key.dst[:], b[24:40])
		return key, int(field >> 3), b[48:], true
	default:
		return key, 0, nil, false
	}
}
