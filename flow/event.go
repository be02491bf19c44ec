package flow

import "flowscope/ingest"

// EventKind says what happened.
type EventKind uint8

// The kinds. Every flow has one Opened first and one Closed last.
const (
	// Opened: the flow's first packet has come.
	Opened EventKind = iota + 1
	// Data: payload of one side; for datagrams one whole payload, for streams
	// the next bytes in order, each byte once.
	Data
	// Gap: the next Length bytes of Side's stream are missing and will not come.
	// Bytes given to Data later are those after them.
	Gap
	// Finished: Side has sent its last byte (FIN), and all before it were given
	// to Data or announced as Gap.
	Finished
	// Aborted: Side has reset the connection (RST); no Data follows.
	Aborted
	// Anomalous: something worth knowing was seen, see Anomaly. Its Flow is nil
	// if it concerns no flow.
	Anomalous
	// Ticked: a long-lived flow's periodic statistics are due.
	Ticked
	// Woken: the time set by Flow.WakeAt has come.
	Woken
	// Closed: the flow has ended and its tail, if any, is over.
	Closed
)

var eventKindNames = [...]string{
	"unknown", "opened", "data", "gap", "finished", "aborted", "anomalous", "ticked", "woken", "closed",
}

// String returns the kind in lower case.
func (k EventKind) String() string {
	if int(k) < len(eventKindNames) {
		return eventKindNames[k]
	}
	return eventKindNames[0]
}

// GapReason says why bytes of a stream were given up.
type GapReason uint8

// The reasons.
const (
	// GapAcked: the other side acknowledged them, so only the sensor has missed
	// them.
	GapAcked GapReason = iota
	// GapTimeout: nobody acknowledged them, and waiting is over.
	GapTimeout
	// GapCap: the memory for what came after them was full.
	GapCap
	// GapTruncated: the capture was cut short by its snapshot length.
	GapTruncated
	// GapClosed: the flow ended before they came.
	GapClosed
	numGapReasons
)

var gapReasonNames = [numGapReasons]string{"acked", "timeout", "cap", "truncated", "closed"}

// String returns acked, timeout, cap, truncated or closed.
func (r GapReason) String() string {
	if r < numGapReasons {
		return gapReasonNames[r]
	}
	return "unknown"
}

// Event is one thing that happened to a flow. It is borrowed as a whole until the
// call returns, its Flow until the Closed event of that flow returns.
type Event struct {
	Kind EventKind
	// Side is the sender, for Data, Gap, Finished, Aborted and Anomalous.
	Side Side
	// Reason says why the flow ended, for Closed.
	Reason Reason
	// Gap says why bytes are missing, for Gap.
	Gap GapReason
	// Truncated says that the capture holds less than was on the wire, for Data
	// of datagrams.
	Truncated bool
	// Slot is the flow's place in the table, a small number that is given to
	// another flow only after this one has closed: state of later stages may
	// sit in slices indexed by it.
	Slot uint32
	// Time is the packet's own time; for Woken, Gap and Closed the deadline that
	// caused it, if one did, or the input's clock at its end.
	Time ingest.Timestamp
	Flow *Flow
	// Data is what was captured of the payload, for Data; borrowed from the
	// packet or from the reassembly. Length is its length on the wire, for Gap
	// that of the gap.
	Data   []byte
	Length int
	// Anomaly and Detail say what was seen, for Anomalous; Detail is borrowed.
	Anomaly *AnomalyType
	Detail  string

	table *Table
}

// Info fills what events say of the flow. The lists in it are borrowed: from the
// table until the flow has closed, or from info itself until its next use.
func (e *Event) Info(info *Info) {
	f := e.Flow
	info.ID, info.CommunityID, info.HasCommunityID = f.id, f.community, true
	info.Transport = f.key.Proto
	info.Src, info.Dst = f.Endpoints()
	info.Source = e.table.sources.name(f.source)
	if f.state&hasExtra != 0 {
		x := e.table.extra[slot(e.Slot)]
		info.VLANs, info.Tunnels, info.Quoted = x.vlans, x.tunnels, x.quoted
		if e.Kind == Anomalous {
			info.Quoted = x.latest
		}
		return
	}
	info.VLANs, info.Tunnels, info.Quoted = nil, nil, nil
	if f.key.Scope != 0 {
		var n int
		info.vlans, n, _ = scopeVLANs(f.key.Scope)
		info.VLANs = info.vlans[:n]
	}
}

// Handler is the stage after flow: ordered events, one goroutine.
type Handler interface {
	// HandleEvent takes one event, borrowed until it returns.
	HandleEvent(e *Event)
	// Tick says that a batch of packets is done and what the input's clock is.
	Tick(now ingest.Timestamp)
	// Close says that there are no more events. It is called once, last.
	Close()
}
