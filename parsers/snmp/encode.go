package snmp

import "flowscope/session/pack"

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
	appendInt64(&p, "rtt_ns", r.RTT)
	return p.End()
}

// AppendMsgpack implements session.Message.
func (m *GetBulk) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	m.appendPairs(&p)
	p.Int("non_repeaters", int64(m.NonRepeaters))
	p.Int("max_repetitions", int64(m.MaxRepetitions))
	return p.End()
}

// AppendMsgpack implements session.Message.
func (t *Trap) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	t.appendPairs(&p)
	appendText(&p, "enterprise", t.Enterprise)
	appendText(&p, "agent_address", t.AgentAddress)
	appendText(&p, "generic_trap", t.GenericTrap)
	appendInt32(&p, "specific_trap", t.SpecificTrap)
	if t.Uptime != nil {
		p.Uint("uptime_ticks", uint64(*t.Uptime))
	}
	return p.End()
}

// AppendMsgpack implements session.Message.
func (e *Encrypted) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	e.appendHeader(&p)
	p.Int("encrypted_size", int64(e.EncryptedSize))
	appendInt64(&p, "rtt_ns", e.RTT)
	return p.End()
}

func (h *Header) appendHeader(p *pack.Map) {
	p.String("version", h.Version)
	appendText(p, "community", h.Community)
	appendInt32(p, "message_id", h.MessageID)
	appendText(p, "security_level", h.SecurityLevel)
	if h.Reportable {
		p.Bool("reportable", true)
	}
	if h.SecurityModel != 0 {
		p.Int("security_model", int64(h.SecurityModel))
	}
	appendText(p, "engine_id", h.EngineID)
	appendInt32(p, "engine_boots", h.EngineBoots)
	appendInt32(p, "engine_time", h.EngineTime)
	appendText(p, "user", h.User)
	appendText(p, "context_engine_id", h.ContextEngineID)
	appendText(p, "context", h.Context)
	p.Int("size", int64(h.Size))
}

func (m *Message) appendPairs(p *pack.Map) {
	m.appendHeader(p)
	appendInt32(p, "request_id", m.RequestID)
	appendText(p, "error_status", m.ErrorStatus)
	if m.ErrorIndex != 0 {
		p.Int("error_index", int64(m.ErrorIndex))
	}
	if len(m.Varbinds) > 0 {
		p.Key("varbinds")
		p.B = pack.ArrayHeader(p.B, len(m.Varbinds))
		for i := range m.Varbinds {
			p.B = m.Varbinds[i].append(p.B)
		}
	}
}

func (v *Varbind) append(b []byte) []byte {
	p := pack.BeginMap(b)
	appendText(&p, "oid", v.OID)
	p.String("type", v.Type)
	if v.Value != nil {
		p.Key("value")
		p.B = appendValue(p.B, v.Value)
	}
	return p.End()
}

// appendValue appends what a parser puts into a value, and what decoding makes
// of it.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return pack.TextString(b, v)
	case []byte:
		return pack.Bytes(b, v)
	case int64:
		return pack.Int(b, v)
	case uint64:
		return pack.Uint(b, v)
	case int8:
		return pack.Int(b, int64(v))
	case int16:
		return pack.Int(b, int64(v))
	case int32:
		return pack.Int(b, int64(v))
	case uint8:
		return pack.Uint(b, uint64(v))
	case uint16:
		return pack.Uint(b, uint64(v))
	case uint32:
		return pack.Uint(b, uint64(v))
	default:
		return pack.Nil(b)
	}
}

func appendText(p *pack.Map, key, v string) {
	if v != "" {
		p.Key(key)
		p.B = pack.TextString(p.B, v)
	}
}

func appendInt32(p *pack.Map, key string, v *int32) {
	if v != nil {
		p.Int(key, int64(*v))
	}
}

func appendInt64(p *pack.Map, key string, v *int64) {
	if v != nil {
		p.Int(key, *v)
	}
}
