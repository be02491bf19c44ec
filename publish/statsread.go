package publish

import (
	"math"

	"flowscope/flow"
)

// readStats is the reverse of appendStats. duration_ns follows from the times.
func readStats(f *fields) (*flow.Stats, uint64) {
	var (
		s      flow.Stats
		events uint64
		i, r   = &s.Sides[flow.Initiator], &s.Sides[flow.Responder]
	)
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
		case "events":
			events = f.uint()
		default:
			f.pass()
		}
	}
	return &s, events
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
