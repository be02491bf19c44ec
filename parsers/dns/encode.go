package dns

import "flowscope/session/pack"

// Keys are written with their msgpack header: a fixstr of their length. The
// fixed runs of keys are one constant, so that the hot path copies them at once.
const (
	keyID          = "\xa2id"
	keyOpcode      = "\xa6opcode"
	keyRcode       = "\xa5rcode"
	keyQuestions   = "\xa9questions"
	keyAnswers     = "\xa7answers"
	keyAuthorities = "\xabauthorities"
	keyAdditionals = "\xabadditionals"
	keyEDNS        = "\xa4edns"
	keySize        = "\xa4size"
	keyRTT         = "\xa6rtt_ns"
	keyRetries     = "\xa7retries"
	keyCutOff      = "\xa7cut_off"
	keyName        = "\xa4name"
	keyType        = "\xa4type"
	keyClass       = "\xa5class"
	keyTTL         = "\xa3ttl"
	keyData        = "\xa4data"
	keyUnicast     = "\xb0unicast_response"
	keyCacheFlush  = "\xabcache_flush"

	// What most messages have, key and value in one run.
	opcodeQuery  = keyOpcode + "\xa5QUERY"
	rcodeNoError = keyRcode + "\xa7NOERROR"
	classIN      = keyClass + "\xa2IN"
	typeAClassIN = keyType + "\xa1A" + classIN

	msgpackTrue = 0xc3

	// flagKeys is the run of flags, all false; flagAA … are where their values
	// stand, counted from its end.
	flagKeys = "\xa2aa\xc2\xa2tc\xc2\xa2rd\xc2\xa2ra\xc2\xa1z\xc2\xa2ad\xc2\xa2cd\xc2"
	flagAA   = 24
	flagTC   = 20
	flagRD   = 16
	flagRA   = 12
	flagZ    = 9
	flagAD   = 5
	flagCD   = 1

	fixedPairs = 10 // id, opcode, seven flags, size
)

func count(present bool) int {
	if present {
		return 1
	}
	return 0
}

// AppendMsgpack implements session.Message.
func (q *Query) AppendMsgpack(b []byte) []byte {
	b = q.appendPairs(b, count(q.Retries != 0))
	return appendRetries(b, q.Retries)
}

// AppendMsgpack implements session.Message.
func (r *Response) AppendMsgpack(b []byte) []byte {
	b = r.appendPairs(b, count(r.RTT != nil)+count(r.Retries != 0))
	if r.RTT != nil {
		b = pack.Int(append(b, keyRTT...), *r.RTT)
	}
	return appendRetries(b, r.Retries)
}

// AppendMsgpack implements session.Message.
func (u *Unanswered) AppendMsgpack(b []byte) []byte {
	b = u.appendPairs(b, count(u.Retries != 0)+count(u.CutOff))
	b = appendRetries(b, u.Retries)
	if u.CutOff {
		b = append(append(b, keyCutOff...), msgpackTrue)
	}
	return b
}

func appendRetries(b []byte, n uint32) []byte {
	if n == 0 {
		return b
	}
	return pack.Uint(append(b, keyRetries...), uint64(n))
}

// appendPairs opens the map of a message and appends what all kinds have; more
// is the number of pairs that the caller adds.
func (m *Message) appendPairs(b []byte, more int) []byte {
	more += fixedPairs + count(m.Rcode != "") + count(len(m.Questions) > 0) + count(len(m.Answers) > 0) +
		count(len(m.Authorities) > 0) + count(len(m.Additionals) > 0) + count(m.EDNS != nil)
	b = append(pack.MapHeader(b, more), keyID...)
	b = pack.Uint(b, uint64(m.ID))
	if m.Opcode == "QUERY" {
		b = append(b, opcodeQuery...)
	} else {
		b = pack.String(append(b, keyOpcode...), m.Opcode)
	}
	if m.Rcode == "NOERROR" {
		b = append(b, rcodeNoError...)
	} else if m.Rcode != "" {
		b = pack.String(append(b, keyRcode...), m.Rcode)
	}
	b = m.appendFlags(b)
	if len(m.Questions) > 0 {
		b = pack.ArrayHeader(append(b, keyQuestions...), len(m.Questions))
		for i := range m.Questions {
			b = m.Questions[i].append(b)
		}
	}
	if len(m.Answers) > 0 {
		b = appendRecords(append(b, keyAnswers...), m.Answers)
	}
	if len(m.Authorities) > 0 {
		b = appendRecords(append(b, keyAuthorities...), m.Authorities)
	}
	if len(m.Additionals) > 0 {
		b = appendRecords(append(b, keyAdditionals...), m.Additionals)
	}
	if m.EDNS != nil {
		b = m.EDNS.append(append(b, keyEDNS...))
	}
	return pack.Uint(append(b, keySize...), uint64(m.Size))
}

func (m *Message) appendFlags(b []byte) []byte {
	b = append(b, flagKeys...)
	p := b[len(b)-len(flagKeys):]
	const n = len(flagKeys)
	p[n-flagAA] |= bit(m.AA)
	p[n-flagTC] |= bit(m.TC)
	p[n-flagRD] |= bit(m.RD)
	p[n-flagRA] |= bit(m.RA)
	p[n-flagZ] |= bit(m.Z)
	p[n-flagAD] |= bit(m.AD)
	p[n-flagCD] |= bit(m.CD)
	return b
}

// bit is the difference between msgpack's false and true.
func bit(v bool) (b byte) {
	if v {
		b = 1
	}
	return b
}

func (q *Question) append(b []byte) []byte {
	b = append(pack.MapHeader(b, 3+count(q.UnicastResponse)), keyName...)
	b = pack.String(b, q.Name)
	b = appendTypeClass(b, q.Type, q.Class)
	if q.UnicastResponse {
		b = append(append(b, keyUnicast...), msgpackTrue)
	}
	return b
}

func appendTypeClass(b []byte, typ, class string) []byte {
	if class == "IN" {
		if typ == "A" {
			return append(b, typeAClassIN...)
		}
		return append(pack.String(append(b, keyType...), typ), classIN...)
	}
	b = pack.String(append(b, keyType...), typ)
	return pack.String(append(b, keyClass...), class)
}

func appendRecords(b []byte, records []Record) []byte {
	b = pack.ArrayHeader(b, len(records))
	for i := range records {
		b = records[i].append(b)
	}
	return b
}

func (r *Record) append(b []byte) []byte {
	b = append(pack.MapHeader(b, 4+count(r.Data != "")+count(r.CacheFlush)), keyName...)
	b = pack.String(b, r.Name)
	b = appendTypeClass(b, r.Type, r.Class)
	if r.CacheFlush {
		b = append(append(b, keyCacheFlush...), msgpackTrue)
	}
	b = pack.Uint(append(b, keyTTL...), uint64(r.TTL))
	if r.Data != "" {
		b = pack.String(append(b, keyData...), r.Data)
	}
	return b
}

func (e *EDNS) append(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("version", uint64(e.Version))
	m.Uint("udp_size", uint64(e.UDPSize))
	m.Bool("do", e.DO)
	if e.CO {
		m.Bool("co", true)
	}
	if e.ClientSubnet != "" {
		m.String("client_subnet", e.ClientSubnet)
	}
	if e.ClientSubnetScope != 0 {
		m.Uint("client_subnet_scope", uint64(e.ClientSubnetScope))
	}
	if len(e.EDE) > 0 {
		m.Key("ede")
		m.B = pack.ArrayHeader(m.B, len(e.EDE))
		for i := range e.EDE {
			m.B = e.EDE[i].append(m.B)
		}
	}
	if e.Cookie != "" {
		m.String("cookie", e.Cookie)
	}
	if e.NSID != "" {
		m.Key("nsid")
		m.B = pack.TextString(m.B, e.NSID)
	}
	if e.Padding != 0 {
		m.Uint("padding", uint64(e.Padding))
	}
	if e.ReportChannel != "" {
		m.String("report_channel", e.ReportChannel)
	}
	if len(e.Options) > 0 {
		m.Key("options")
		m.B = pack.ArrayHeader(m.B, len(e.Options))
		for i := range e.Options {
			m.B = e.Options[i].append(m.B)
		}
	}
	return m.End()
}

func (x *ExtendedError) append(b []byte) []byte {
	b = pack.MapHeader(b, 1+count(x.Text != ""))
	b = pack.Uint(pack.String(b, "code"), uint64(x.Code))
	if x.Text != "" {
		b = pack.TextString(pack.String(b, "text"), x.Text)
	}
	return b
}

func (o *Option) append(b []byte) []byte {
	b = pack.MapHeader(b, 1+count(o.Data != ""))
	b = pack.Uint(pack.String(b, "code"), uint64(o.Code))
	if o.Data != "" {
		b = pack.String(pack.String(b, "data"), o.Data)
	}
	return b
}
