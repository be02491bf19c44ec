package flow

import "flowscope/ingest"

// EventKind says what happened.
type EventKind uint8

// The kinds. Every flow has one Opened first and one Closed last.
const (
	// Opened: the flow's first packet has come.
	Opened EventKind = iota + 1
	// Data: payload of one side; for datagrams one whole payload.
	Data
	// Woken: the time set by Flow.WakeAt has come.
	Woken
	// Closed: the flow has ended and its tail, if any, is over.
	Closed
)

// Event is one thing that happened to a flow. It is borrowed as a whole until the
// call returns, its Flow until the Closed event of that flow returns.
type Event struct {
	Kind EventKind
	// Side is the sender, for Data.
	Side Side
	// Reason says why the flow ended, for Closed.
	Reason Reason
	// Truncated says that the capture holds less than was on the wire, for Data.
	Truncated bool
	// Slot is the flow's place in the table, a small number that is given to
	// another flow only after this one has closed: state of later stages may
	// sit in slices indexed by it.
	Slot uint32
	// Time is the packet's own time; for Woken and Closed the deadline that
	// caused it, or the input's clock at its end.
	Time ingest.Timestamp
	Flow *Flow
	// Data is what was captured of the payload, for Data; borrowed from the
	// packet. Length is its length on the wire.
	Data   []byte
	Length int

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
		info.VLANs, info.Tunnels = x.vlans, x.tunnels
		return
	}
	info.VLANs, info.Tunnels = nil, nil
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
