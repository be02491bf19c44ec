package meter

import "flowscope/session/pack"

// Reading is what a meter reports.
type Reading struct {
	Number uint64 `msgpack:"number"`
	// Watts is the present power.
	Watts int64 `msgpack:"watts"`
	// Place is where the meter is, text as on the wire.
	Place string `msgpack:"place"`
}

// Kind is reading.
func (*Reading) Kind() string { return "reading" }

// AppendMsgpack appends the message as one map.
func (r *Reading) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("number", r.Number)
	m.Int("watts", r.Watts)
	m.Text("place", []byte(r.Place))
	return m.End()
}

// Ack is the collector's answer.
type Ack struct {
	Number uint64 `msgpack:"number"`
	// Delay is how long it took, in nanoseconds; 0 if the reading was not seen.
	Delay int64 `msgpack:"delay_ns,omitempty"`
}

// Kind is ack.
func (*Ack) Kind() string { return "ack" }

// AppendMsgpack appends the message as one map.
func (a *Ack) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("number", a.Number)
	if a.Delay != 0 {
		m.Int("delay_ns", a.Delay)
	}
	return m.End()
}
