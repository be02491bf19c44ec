package publish

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"flowscope/session"
	"flowscope/session/pack"
)

// Ledger says what became of everything that one run of a sensor received: four
// equations that close at any quiet moment, see Balance. As JSON and as msgpack
// it has the same names.
type Ledger struct {
	Sensor string `json:"sensor"`
	Run    string `json:"run"`
	// Time is when the ledger was taken, UTC.
	Time    time.Time    `json:"time"`
	Packets Packets      `json:"packets"`
	Flows   Flows        `json:"flows"`
	Events  Events       `json:"events"`
	Payload PayloadBytes `json:"payload_bytes"`
	// GapBytes are bytes of streams that were never seen.
	GapBytes uint64 `json:"gap_bytes"`
	// Subjects counts the events made per subject that passed the filters.
	Subjects map[string]uint64 `json:"subjects"`
	// Last has the latest number of each worker on each subject; it is published, and
	// left out of what people read.
	Last []LastNumber `json:"last,omitempty"`
	// Seconds is the wall time of the run.
	Seconds float64 `json:"seconds"`
	// PeakRSS is the largest resident memory of the process in bytes.
	PeakRSS uint64 `json:"peak_rss_bytes"`
}

var _ session.Message = (*Ledger)(nil)

// Reasons counts by reason. The nil map is empty, and is written as {}.
type Reasons map[string]uint64

// Add adds n to a reason; 0 adds nothing, not even the reason.
func (r Reasons) Add(reason string, n uint64) {
	if n > 0 {
		r[reason] += n
	}
}

// Sum returns the sum over all reasons.
func (r Reasons) Sum() uint64 {
	var sum uint64
	for _, n := range r {
		sum += n
	}
	return sum
}

// MarshalJSON writes an object, also for nil.
func (r Reasons) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]uint64(r))
}

// Packets is the account of packets.
type Packets struct {
	Received      uint64  `json:"received"`
	Handled       uint64  `json:"handled"`
	Filtered      uint64  `json:"filtered"`
	Shed          uint64  `json:"shed"`
	Duplicate     uint64  `json:"duplicate"`
	NotIP         uint64  `json:"not_ip"`
	FragmentsHeld uint64  `json:"fragments_held"`
	Undecodable   Reasons `json:"undecodable"`
	DroppedKernel uint64  `json:"dropped_kernel"`
	// Unseen passed an interface before it was captured on, beside the equation.
	Unseen uint64 `json:"unseen"`
	// Checksums counts bad checksums by kind, beside the equation.
	Checksums Reasons `json:"checksums"`
}

// Flows is the account of flows; Shed stands beside it.
type Flows struct {
	Started uint64  `json:"started"`
	Ended   Reasons `json:"ended"`
	Active  uint64  `json:"active"`
	Shed    uint64  `json:"shed"`
}

// Events is the account of events, those about the sensor not counted. Resent,
// Duplicates and PossiblyDoubled stand beside it; duplicates are within
// acknowledged.
type Events struct {
	Made            uint64  `json:"made"`
	Filtered        Reasons `json:"filtered"`
	Acknowledged    uint64  `json:"acknowledged"`
	Sent            uint64  `json:"sent"`
	Written         uint64  `json:"written"`
	DeadLetter      uint64  `json:"dead_letter"`
	Pending         uint64  `json:"pending"`
	Dropped         Reasons `json:"dropped"`
	Resent          uint64  `json:"resent"`
	Duplicates      uint64  `json:"duplicates"`
	PossiblyDoubled uint64  `json:"possibly_doubled"`
	// DuplicatesUnknown says that the server does not tell; Duplicates is then
	// written as null.
	DuplicatesUnknown bool `json:"-"`
}

// MarshalJSON writes null for duplicates that nobody knows.
func (e Events) MarshalJSON() ([]byte, error) {
	type plain Events // without this method
	if !e.DuplicatesUnknown {
		return json.Marshal(plain(e))
	}
	return json.Marshal(struct {
		plain
		Duplicates *uint64 `json:"duplicates"`
	}{plain: plain(e)})
}

// PayloadBytes is the account of payload, each byte once however many parsers
// read it.
type PayloadBytes struct {
	Seen      uint64  `json:"seen"`
	Delivered uint64  `json:"delivered"`
	Duplicate uint64  `json:"duplicate"`
	NoParser  uint64  `json:"no_parser"`
	Discarded Reasons `json:"discarded"`
	Buffered  uint64  `json:"buffered"`
}

// MarshalJSON writes the ledger with {} for a nil Subjects.
func (l *Ledger) MarshalJSON() ([]byte, error) {
	type plain Ledger // without this method
	c := plain(*l)
	if c.Subjects == nil {
		c.Subjects = map[string]uint64{}
	}
	return json.Marshal(&c)
}

// BalanceError says which account of a ledger does not close.
type BalanceError struct {
	// Account is packets, flows, events or payload_bytes.
	Account string
	// Left and Right are the two sides: what came in and where it went.
	Left, Right uint64
	// Equation is the equation in words.
	Equation string
}

// Error names the account and both sides.
func (e *BalanceError) Error() string {
	return fmt.Sprintf("ledger: %s do not balance: %d on the left, %d on the right of %s", e.Account, e.Left, e.Right, e.Equation)
}

// Balance checks the four equations; the error is a *BalanceError for the first
// that does not close.
func (l *Ledger) Balance() error {
	p, f, e, b := &l.Packets, &l.Flows, &l.Events, &l.Payload
	for _, c := range []BalanceError{
		{
			"packets", p.Received,
			p.Handled + p.Filtered + p.Shed + p.Duplicate + p.NotIP + p.FragmentsHeld + p.Undecodable.Sum() + p.DroppedKernel,
			"received = handled + filtered + shed + duplicate + not_ip + fragments_held + undecodable + dropped_kernel",
		},
		{"flows", f.Started, f.Ended.Sum() + f.Active, "started = ended + active"},
		{
			"events", e.Made,
			e.Filtered.Sum() + e.Acknowledged + e.Sent + e.Written + e.DeadLetter + e.Pending + e.Dropped.Sum(),
			"made = filtered + acknowledged + sent + written + dead_letter + pending + dropped",
		},
		{
			"payload_bytes", b.Seen,
			b.Delivered + b.Duplicate + b.NoParser + b.Discarded.Sum() + b.Buffered,
			"seen = delivered + duplicate + no_parser + discarded + buffered",
		},
	} {
		if c.Left != c.Right {
			return &c
		}
	}
	return nil
}

// Add adds the counts of another part or worker. Sensor, Run, Time, Seconds and
// PeakRSS are not sums: the first two stay unless they are empty, of the others
// the larger one stays.
func (l *Ledger) Add(o *Ledger) {
	l.Sensor, l.Run = orElse(l.Sensor, o.Sensor), orElse(l.Run, o.Run)
	if o.Time.After(l.Time) {
		l.Time = o.Time
	}
	l.Packets.add(&o.Packets)
	l.Flows.add(&o.Flows)
	l.Events.add(&o.Events)
	l.Payload.add(&o.Payload)
	l.GapBytes += o.GapBytes
	addAll(&l.Subjects, o.Subjects)
	l.Last = append(l.Last, o.Last...)
	l.Seconds = max(l.Seconds, o.Seconds)
	l.PeakRSS = max(l.PeakRSS, o.PeakRSS)
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func addAll[M ~map[string]uint64](to *M, from M) {
	if *to == nil && len(from) > 0 {
		*to = make(M, len(from))
	}
	for k, n := range from {
		(*to)[k] += n
	}
}

func (p *Packets) add(o *Packets) {
	p.Received += o.Received
	p.Handled += o.Handled
	p.Filtered += o.Filtered
	p.Shed += o.Shed
	p.Duplicate += o.Duplicate
	p.NotIP += o.NotIP
	p.FragmentsHeld += o.FragmentsHeld
	addAll(&p.Undecodable, o.Undecodable)
	p.DroppedKernel += o.DroppedKernel
	p.Unseen += o.Unseen
	addAll(&p.Checksums, o.Checksums)
}

func (f *Flows) add(o *Flows) {
	f.Started += o.Started
	addAll(&f.Ended, o.Ended)
	f.Active += o.Active
	f.Shed += o.Shed
}

func (e *Events) add(o *Events) {
	e.Made += o.Made
	addAll(&e.Filtered, o.Filtered)
	e.Acknowledged += o.Acknowledged
	e.Sent += o.Sent
	e.Written += o.Written
	e.DeadLetter += o.DeadLetter
	e.Pending += o.Pending
	addAll(&e.Dropped, o.Dropped)
	e.Resent += o.Resent
	e.Duplicates += o.Duplicates
	e.PossiblyDoubled += o.PossiblyDoubled
	e.DuplicatesUnknown = e.DuplicatesUnknown || o.DuplicatesUnknown
}

func (b *PayloadBytes) add(o *PayloadBytes) {
	b.Seen += o.Seen
	b.Delivered += o.Delivered
	b.Duplicate += o.Duplicate
	b.NoParser += o.NoParser
	addAll(&b.Discarded, o.Discarded)
	b.Buffered += o.Buffered
}

// Kind is ledger: the ledger is the message of sensor.ledger events.
func (l *Ledger) Kind() string { return "ledger" }

// AppendMsgpack appends the ledger as one map.
func (l *Ledger) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Key("sensor")
	m.B = pack.TextString(m.B, l.Sensor)
	m.Key("run")
	m.B = pack.TextString(m.B, l.Run)
	m.Key("time")
	m.B = pack.TimeOf(m.B, l.Time)
	m.Key("packets")
	m.B = l.Packets.appendMsgpack(m.B)
	m.Key("flows")
	m.B = l.Flows.appendMsgpack(m.B)
	m.Key("events")
	m.B = l.Events.appendMsgpack(m.B)
	m.Key("payload_bytes")
	m.B = l.Payload.appendMsgpack(m.B)
	m.Uint("gap_bytes", l.GapBytes)
	m.Key("subjects")
	m.B = appendCounts(m.B, l.Subjects)
	if len(l.Last) > 0 {
		m.Key("last")
		m.B = appendLast(m.B, l.Last)
	}
	m.Key("seconds")
	m.B = pack.Float(m.B, l.Seconds)
	m.Uint("peak_rss_bytes", l.PeakRSS)
	return m.End()
}

func (p *Packets) appendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("received", p.Received)
	m.Uint("handled", p.Handled)
	m.Uint("filtered", p.Filtered)
	m.Uint("shed", p.Shed)
	m.Uint("duplicate", p.Duplicate)
	m.Uint("not_ip", p.NotIP)
	m.Uint("fragments_held", p.FragmentsHeld)
	m.Key("undecodable")
	m.B = appendCounts(m.B, p.Undecodable)
	m.Uint("dropped_kernel", p.DroppedKernel)
	m.Uint("unseen", p.Unseen)
	m.Key("checksums")
	m.B = appendCounts(m.B, p.Checksums)
	return m.End()
}

func (f *Flows) appendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("started", f.Started)
	m.Key("ended")
	m.B = appendCounts(m.B, f.Ended)
	m.Uint("active", f.Active)
	m.Uint("shed", f.Shed)
	return m.End()
}

func (e *Events) appendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("made", e.Made)
	m.Key("filtered")
	m.B = appendCounts(m.B, e.Filtered)
	m.Uint("acknowledged", e.Acknowledged)
	m.Uint("sent", e.Sent)
	m.Uint("written", e.Written)
	m.Uint("dead_letter", e.DeadLetter)
	m.Uint("pending", e.Pending)
	m.Key("dropped")
	m.B = appendCounts(m.B, e.Dropped)
	m.Uint("resent", e.Resent)
	if e.DuplicatesUnknown {
		m.Key("duplicates")
		m.B = pack.Nil(m.B)
	} else {
		m.Uint("duplicates", e.Duplicates)
	}
	m.Uint("possibly_doubled", e.PossiblyDoubled)
	return m.End()
}

func (p *PayloadBytes) appendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("seen", p.Seen)
	m.Uint("delivered", p.Delivered)
	m.Uint("duplicate", p.Duplicate)
	m.Uint("no_parser", p.NoParser)
	m.Key("discarded")
	m.B = appendCounts(m.B, p.Discarded)
	m.Uint("buffered", p.Buffered)
	return m.End()
}

// appendCounts appends a map of counts in the order of its keys, at most 65,535
// of them.
func appendCounts[M ~map[string]uint64](b []byte, counts M) []byte {
	m := pack.BeginMap(b)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		m.Uint(k, counts[k])
	}
	return m.End()
}
