package publish

import (
	"flowscope/flow"
	"flowscope/session/pack"
)

// appendStats appends the envelope's stats map. Packets and bytes always stand
// there, other counters only if they are not 0. Keys stand as literals with their
// header byte: half of the time goes into them.
func appendStats(b []byte, s *flow.Stats, events uint64) []byte {
	i, r := &s.Sides[flow.Initiator], &s.Sides[flow.Responder]
	start := len(b)
	n := 8 // packets and bytes of both sides, the two times, duration, initiator_by
	b = append(b, 0xde, 0, 0)
	b = appendKey(b, "\xb1packets_", "initiator")
	b = pack.Uint(b, i.Packets)
	b = appendKey(b, "\xb1packets_", "responder")
	b = pack.Uint(b, r.Packets)
	b = append(b, "\xafbytes_initiator"...)
	b = pack.Uint(b, i.Bytes)
	b = append(b, "\xafbytes_responder"...)
	b = pack.Uint(b, r.Bytes)
	if i.IPBytes != 0 {
		n++
		b = appendKey(b, "\xb2ip_bytes_", "initiator")
		b = pack.Uint(b, i.IPBytes)
	}
	if r.IPBytes != 0 {
		n++
		b = appendKey(b, "\xb2ip_bytes_", "responder")
		b = pack.Uint(b, r.IPBytes)
	}
	if i.PayloadBytes != 0 {
		n++
		b = appendKey(b, "\xb7payload_bytes_", "initiator")
		b = pack.Uint(b, i.PayloadBytes)
	}
	if r.PayloadBytes != 0 {
		n++
		b = appendKey(b, "\xb7payload_bytes_", "responder")
		b = pack.Uint(b, r.PayloadBytes)
	}
	b = append(b, "\xa8first_ts"...)
	b = pack.Time(b, int64(s.First))
	b = append(b, "\xa7last_ts"...)
	b = pack.Time(b, int64(s.Last))
	if i.Last != 0 {
		n++
		b = appendKey(b, "\xb1last_ts_", "initiator")
		b = pack.Time(b, int64(i.Last))
	}
	if r.Last != 0 {
		n++
		b = appendKey(b, "\xb1last_ts_", "responder")
		b = pack.Time(b, int64(r.Last))
	}
	b = append(b, "\xabduration_ns"...)
	b = pack.Int(b, int64(s.Last-s.First))
	if i.TCPFlags != 0 {
		n++
		b = appendKey(b, "\xb3tcp_flags_", "initiator")
		b = pack.Uint(b, uint64(i.TCPFlags))
	}
	if r.TCPFlags != 0 {
		n++
		b = appendKey(b, "\xb3tcp_flags_", "responder")
		b = pack.Uint(b, uint64(r.TCPFlags))
	}
	switch s.InitiatorBy {
	case flow.BySyn:
		b = append(b, "\xacinitiator_by\xa3syn"...)
	case flow.BySynAck:
		b = append(b, "\xacinitiator_by\xa6synack"...)
	default:
		b = append(b, "\xacinitiator_by\xaafirst_seen"...)
	}
	if s.Midstream {
		n++
		b = append(b, "\xa9midstream\xc3"...)
	}
	if events != 0 {
		n++
		b = append(b, "\xa6events"...)
		b = pack.Uint(b, events)
	}
	b[start+2] = byte(n)
	return b
}

// appendKey appends a key in two pieces. The compiler copies constants of up to 16
// bytes in place and calls a function for longer ones, which made the whole map
// take 1.4 times as long.
func appendKey(b []byte, head, tail string) []byte {
	return append(append(b, head...), tail...)
}
