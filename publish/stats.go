package publish

import (
	"flowscope/flow"
	"flowscope/session"
	"flowscope/session/pack"
)

// appendStats appends the envelope's stats map. Packets and bytes always stand
// there, other counters only if they are not 0. Keys stand as literals with their
// header byte: half of the time goes into them.
func appendStats(b []byte, ev *session.SessionEvent) []byte {
	s := ev.Stats
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
	b, n = appendConnection(b, ev, n)
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
	if ev.TCP != nil {
		b, n = appendTCP(b, ev.TCP, n)
	}
	if ev.Events != 0 {
		n++
		b = append(b, "\xa6events"...)
		b = pack.Uint(b, ev.Events)
	}
	b[start+2] = byte(n)
	return b
}

// appendConnection appends Zeek's summary of the flow.
func appendConnection(b []byte, ev *session.SessionEvent, n int) ([]byte, int) {
	var state flow.ConnState
	b = append(b, "\xa7history\xd9\x00"...)
	start := len(b)
	switch {
	case ev.TCP != nil:
		b, state = ev.TCP.History.Append(b), ev.TCP.State
	case ev.Flow != nil:
		b, state = ev.Stats.History.Append(b), ev.Stats.ConnState(ev.Flow.Transport)
	}
	if len(b) > start {
		n++
		b[start-1] = byte(len(b) - start)
	} else {
		b = b[:start-len("\xa7history\xd9\x00")]
	}
	n++
	name := state.String()
	b = append(b, "\xaaconn_state"...)
	b = append(b, 0xa0|byte(len(name)))
	return append(b, name...), n
}

// appendTCP appends what only TCP flows have.
func appendTCP(b []byte, t *flow.TCPStats, n int) ([]byte, int) {
	if rtt := t.HandshakeRTT[flow.Initiator]; rtt != 0 {
		n++
		b = appendKey(b, "\xbahandshake_rtt_", "initiator_ns")
		b = pack.Int(b, int64(rtt))
	}
	if rtt := t.HandshakeRTT[flow.Responder]; rtt != 0 {
		n++
		b = appendKey(b, "\xbahandshake_rtt_", "responder_ns")
		b = pack.Int(b, int64(rtt))
	}
	if t.Sides == ([2]flow.TCPSideStats{}) {
		return b, n
	}
	for side := range t.Sides {
		s, tail := &t.Sides[side], "initiator"
		if flow.Side(side) == flow.Responder {
			tail = "responder"
		}
		for i, v := range [...]uint64{
			uint64(s.Retransmitted), uint64(s.OutOfOrder), uint64(s.OverlapConflicts),
			uint64(s.Gaps), s.GapBytes, s.AckedUnseenBytes,
		} {
			if v != 0 {
				n++
				b = appendKey(b, tcpKeys[i], tail)
				b = pack.Uint(b, v)
			}
		}
	}
	return b, n
}

// tcpKeys are the counters of streams, less the side.
var tcpKeys = [...]string{
	"\xb7retransmitted_", "\xb6out_of_order_", "\xbboverlap_conflicts_", "\xaegaps_", "\xb3gap_bytes_", "\xbcacked_unseen_bytes_",
}

// appendKey appends a key in two pieces. The compiler copies constants of up to 16
// bytes in place and calls a function for longer ones, which made the whole map
// take 1.4 times as long.
func appendKey(b []byte, head, tail string) []byte {
	return append(append(b, head...), tail...)
}
