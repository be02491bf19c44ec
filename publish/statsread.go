package publish

import (
	"math"
	"strings"
	"time"

	"flowscope/flow"
	"flowscope/session"
)

// readStats is the reverse of appendStats. duration_ns follows from the times.
// History and state stand in TCP for flows of all transports, see settleStats.
func readStats(f *fields, ev *session.SessionEvent) {
	var (
		s    flow.Stats
		t    flow.TCPStats
		i, r = &s.Sides[flow.Initiator], &s.Sides[flow.Responder]
	)
	ev.Stats, ev.TCP, ev.Events = &s, &t, 0
	for range f.mapOf("stats") {
		switch f.key {
		case "packets_initiator":
			i.Packets = f.uint()
		case "packets_responder":
			r.Packets = f.uint()
		case "bytes_initiator":
			i.Bytes = f.uint()
		case "bytes_responder":
			r.Bytes = f.uint()
		case "ip_bytes_initiator":
			i.IPBytes = f.uint()
		case "ip_bytes_responder":
			r.IPBytes = f.uint()
		case "payload_bytes_initiator":
			i.PayloadBytes = f.uint()
		case "payload_bytes_responder":
			r.PayloadBytes = f.uint()
		case "first_ts":
			setTime(&s.First, f.time())
		case "last_ts":
			setTime(&s.Last, f.time())
		case "last_ts_initiator":
			setTime(&i.Last, f.time())
		case "last_ts_responder":
			setTime(&r.Last, f.time())
		case "tcp_flags_initiator":
			i.TCPFlags = uint8(f.uintUpTo(math.MaxUint8))
		case "tcp_flags_responder":
			r.TCPFlags = uint8(f.uintUpTo(math.MaxUint8))
		case "initiator_by":
			s.InitiatorBy = readInitiatorBy(f)
		case "midstream":
			s.Midstream = f.bool()
		case "history":
			t.History = flow.ParseHistory(f.string())
		case "conn_state":
			t.State = readConnState(f)
		case "handshake_rtt_initiator_ns":
			t.HandshakeRTT[flow.Initiator] = time.Duration(f.uintUpTo(math.MaxInt64))
		case "handshake_rtt_responder_ns":
			t.HandshakeRTT[flow.Responder] = time.Duration(f.uintUpTo(math.MaxInt64))
		case "events":
			ev.Events = f.uint()
		default:
			readTCPSide(f, &t)
		}
	}
}

// readTCPSide reads one of the counters in tcpKeys, or passes over what is none.
func readTCPSide(f *fields, t *flow.TCPStats) {
	name, side := f.key, flow.Initiator
	if head, ok := strings.CutSuffix(name, "_responder"); ok {
		name, side = head, flow.Responder
	} else {
		name = strings.TrimSuffix(name, "_initiator")
	}
	s := &t.Sides[side]
	switch {
	case name == f.key:
		f.pass()
	case name == "retransmitted":
		s.Retransmitted = uint32(f.uintUpTo(math.MaxUint32))
	case name == "out_of_order":
		s.OutOfOrder = uint32(f.uintUpTo(math.MaxUint32))
	case name == "overlap_conflicts":
		s.OverlapConflicts = uint32(f.uintUpTo(math.MaxUint32))
	case name == "gaps":
		s.Gaps = uint32(f.uintUpTo(math.MaxUint32))
	case name == "gap_bytes":
		s.GapBytes = f.uint()
	case name == "acked_unseen_bytes":
		s.AckedUnseenBytes = f.uint()
	default:
		f.pass()
	}
}

// settleStats puts what stands in TCP where it belongs, once the transport is
// known.
func settleStats(ev *session.SessionEvent) {
	if ev.TCP != nil && (ev.Flow == nil || ev.Flow.Transport != flow.TCP) {
		ev.Stats.History = flow.ParsePackedHistory(ev.TCP.History.String())
		ev.TCP = nil
	}
}

func readConnState(f *fields) flow.ConnState {
	state, err := flow.ParseConnState(f.string())
	if err != nil && f.err == nil {
		f.fail("%w", err)
	}
	return state
}

func readInitiatorBy(f *fields) flow.InitiatorBy {
	name := f.string()
	for _, by := range []flow.InitiatorBy{flow.ByFirstSeen, flow.BySyn, flow.BySynAck} {
		if by.String() == name {
			return by
		}
	}
	f.fail("unknown way %q", name)
	return 0
}
