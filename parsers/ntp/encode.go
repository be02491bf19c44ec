package ntp

import (
	"time"

	"flowscope/session/pack"
)

// AppendMsgpack implements session.Message.
func (m *Message) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	m.appendPairs(&p)
	return p.End()
}

// AppendMsgpack implements session.Message.
func (r *Reply) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	r.appendPairs(&p)
	appendRTT(&p, r.RTT)
	return p.End()
}

func (m *Message) appendPairs(p *pack.Map) {
	p.Uint("version", uint64(m.Version))
	p.Uint("leap", uint64(m.Leap))
	p.Uint("stratum", uint64(m.Stratum))
	p.Int("poll", int64(m.Poll))
	p.Int("precision", int64(m.Precision))
	p.Int("root_delay_ns", m.RootDelay)
	p.Int("root_dispersion_ns", m.RootDispersion)
	if m.ReferenceID != "" {
		p.String("reference_id", m.ReferenceID)
	}
	appendTimestamp(p, "reference_timestamp", m.ReferenceTimestamp, "reference_time", m.ReferenceTime)
	appendTimestamp(p, "origin_timestamp", m.OriginTimestamp, "origin_time", m.OriginTime)
	appendTimestamp(p, "receive_timestamp", m.ReceiveTimestamp, "receive_time", m.ReceiveTime)
	appendTimestamp(p, "transmit_timestamp", m.TransmitTimestamp, "transmit_time", m.TransmitTime)
	if len(m.Extensions) > 0 {
		p.Key("extensions")
		p.B = pack.ArrayHeader(p.B, len(m.Extensions))
		for i := range m.Extensions {
			p.B = m.Extensions[i].append(p.B)
		}
	}
	appendAuthenticator(p, m.KeyID, m.MAC)
	p.Int("size", int64(m.Size))
}

func appendTimestamp(p *pack.Map, key, digits, timeKey string, t time.Time) {
	if digits != "" {
		p.String(key, digits)
	}
	if !t.IsZero() {
		p.Key(timeKey)
		p.B = pack.TimeOf(p.B, t)
	}
}

func appendAuthenticator(p *pack.Map, key *uint32, mac string) {
	if key != nil {
		p.Uint("key_id", uint64(*key))
	}
	if mac != "" {
		p.String("mac", mac)
	}
}

func appendRTT(p *pack.Map, rtt *int64) {
	if rtt != nil {
		p.Int("rtt_ns", *rtt)
	}
}

func (e *Extension) append(b []byte) []byte {
	p := pack.BeginMap(b)
	p.Uint("type", uint64(e.Type))
	if e.Name != "" {
		p.String("name", e.Name)
	}
	p.Int("size", int64(e.Size))
	return p.End()
}

// AppendMsgpack implements session.Message.
func (c *Control) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	p.Uint("version", uint64(c.Version))
	p.Bool("response", c.Response)
	p.Bool("error", c.Error)
	p.Bool("more", c.More)
	p.String("opcode", c.Opcode)
	p.Uint("sequence", uint64(c.Sequence))
	p.Uint("status", uint64(c.Status))
	p.Uint("association_id", uint64(c.AssociationID))
	p.Uint("offset", uint64(c.Offset))
	p.Uint("count", uint64(c.Count))
	if c.Data != "" {
		p.Key("data")
		p.B = pack.TextString(p.B, c.Data)
	}
	appendAuthenticator(&p, c.KeyID, c.MAC)
	appendRTT(&p, c.RTT)
	p.Int("size", int64(c.Size))
	return p.End()
}

// AppendMsgpack implements session.Message.
func (m *Private) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	p.Uint("version", uint64(m.Version))
	p.Bool("response", m.Response)
	p.Bool("more", m.More)
	p.Bool("authenticated", m.Authenticated)
	p.Uint("sequence", uint64(m.Sequence))
	p.Uint("implementation", uint64(m.Implementation))
	p.Uint("request_code", uint64(m.RequestCode))
	p.Uint("error", uint64(m.Error))
	p.Uint("items", uint64(m.Items))
	p.Uint("item_size", uint64(m.ItemSize))
	p.Int("size", int64(m.Size))
	return p.End()
}
