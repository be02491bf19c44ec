package integration

import "flowscope/parsers/dns"

// judgeCompactor compares what compactor measured over a whole capture.
func judgeCompactor(e *evidence, f *fact) verdict {
	queries, responses, unanswered, unasked := 0, 0, 0, 0
	for _, m := range e.dns {
		switch {
		case !m.response:
			queries++
		default:
			responses++
			if m.rtt == nil {
				unasked++
			}
		}
	}
	for _, ev := range e.rec.events {
		if _, ok := ev.Message.(*dns.Unanswered); ok {
			unanswered++
		}
	}
	var d differences
	d.check("Total Packets received", e.rec.ingest.Packets, f.num("Total Packets received"))
	d.check("Total Packets processed", e.rec.ingest.Packets, f.num("Total Packets processed"))
	d.check("Processed DNS messages", queries+responses, f.num("Processed DNS messages (C-DNS)"))
	d.check("Matched pairs", queries-unanswered, f.num("Matched DNS query/response pairs (C-DNS)"))
	d.check("Unmatched queries", unanswered, f.num("Unmatched DNS queries (C-DNS)"))
	// A response whose time lies before its query's is paired and has no rtt.
	d.check("Unmatched responses", unasked,
		f.num("Unmatched DNS responses (C-DNS)")+f.num("Out-of-order DNS query/responses"))
	malformed := 0
	for _, m := range e.dns {
		if m.event.Truncated {
			malformed++
		}
	}
	d.check("Malformed messages", malformed, f.num("Malformed DNS messages (C-DNS)"))
	return verdict{problems: d}
}
