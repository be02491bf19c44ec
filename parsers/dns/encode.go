package dns

import (
	"slices"
	"unsafe"

	"flowscope/session/pack"
)

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

	keyUDPSize           = "\xa8udp_size"
	keyDO                = "\xa2do"
	keyCO                = "\xa2co"
	keyClientSubnet      = "\xadclient_subnet"
	keyClientSubnetScope = "\xb3client_subnet_scope"
	keyEDE               = "\xa3ede"
	keyCookie            = "\xa6cookie"
	keyNSID              = "\xa4nsid"
	keyPadding           = "\xa7padding"
	keyReportChannel     = "\xaereport_channel"
	keyOptions           = "\xa7options"

	// What most messages have, keys and values in one run. The opening of a
	// message has room for the number of pairs and for the id.
	opcodeQuery = keyOpcode + "\xa5QUERY"
	opening     = "\x80" + keyID + "\xcd\x00\x00" + opcodeQuery
	openingOK   = opening + keyRcode + "\xa7NOERROR"
	oneQuestion = keyQuestions + "\x91\x83" + keyName
	classIN     = keyClass + "\xa2IN"
	typeAIN     = keyType + "\xa1A" + classIN
	typeAAAAIN  = keyType + "\xa4AAAA" + classIN
	typeCNAMEIN = keyType + "\xa5CNAME" + classIN
	typeHTTPSIN = keyType + "\xa5HTTPS" + classIN

	// What all OPT records have: the number of pairs is the third octet of the
	// map, whose header always has three.
	plainEDNS = keyEDNS + "\xde\x00\x03" + "\xa7version\x00" + "\xa8udp_size\xcd\x00\x00" + "\xa2do\xc2"

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

// The runs as memory to copy from: a copy of an array is a few instructions, an
// append of more than sixteen octets is a call.
var (
	queryRun    = [48]byte([]byte(opening + flagKeys + "\x00"))
	responseRun = [64]byte([]byte(openingOK + flagKeys + "\x00\x00\x00"))
	questionRun = [32]byte([]byte(oneQuestion + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	ednsRun     = [48]byte([]byte(plainEDNS + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
)

// room returns b with room for n more octets.
func room(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		return grown(b, n)
	}
	return b
}

//go:noinline
func grown(b []byte, n int) []byte { return slices.Grow(b, n) }

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
	b = m.appendHeader(b, more)
	if len(m.Questions) == 1 && !m.Questions[0].UnicastResponse {
		q := &m.Questions[0]
		b = room(b, len(questionRun))
		n := len(b)
		*(*[len(questionRun)]byte)(b[n : n+len(questionRun)]) = questionRun
		b = appendTypeClass(appendName(b[:n+len(oneQuestion)], q.Name), q.Type, q.Class)
	} else if len(m.Questions) > 0 {
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
		b = m.EDNS.append(b)
	}
	return pack.Uint(append(b, keySize...), uint64(m.Size))
}

// appendHeader opens the map of so many pairs and appends those of the header.
func (m *Message) appendHeader(b []byte, pairs int) []byte {
	if pairs < 16 && m.ID >= 256 && m.Opcode == "QUERY" {
		b = room(b, len(responseRun))
		n := len(b)
		p := (*[len(responseRun)]byte)(b[n : n+len(responseRun)])
		switch m.Rcode {
		case "":
			*(*[len(queryRun)]byte)(p[:]) = queryRun
			m.patch(p, pairs)
			m.setFlags((*[len(flagKeys)]byte)(p[len(opening):]))
			return b[:n+len(opening)+len(flagKeys)]
		case "NOERROR":
			*p = responseRun
			m.patch(p, pairs)
			m.setFlags((*[len(flagKeys)]byte)(p[len(openingOK):]))
			return b[:n+len(openingOK)+len(flagKeys)]
		}
	}
	b = append(pack.MapHeader(b, pairs), keyID...)
	b = pack.Uint(b, uint64(m.ID))
	b = pack.String(append(b, keyOpcode...), m.Opcode)
	if m.Rcode != "" {
		b = pack.String(append(b, keyRcode...), m.Rcode)
	}
	b = append(b, flagKeys...)
	m.setFlags((*[len(flagKeys)]byte)(b[len(b)-len(flagKeys):]))
	return b
}

// patch fills in what the constant opening leaves open.
func (m *Message) patch(p *[len(responseRun)]byte, pairs int) {
	p[0] |= byte(pairs)
	p[5], p[6] = byte(m.ID>>8), byte(m.ID)
}

// appendName is pack.String for strings of 8 to 31 octets above all: two copies
// that overlap instead of a call.
func appendName(b []byte, s string) []byte {
	size := len(s)
	if size < 8 || size > 31 {
		return pack.String(b, s)
	}
	b = room(b, 1+size)
	n := len(b)
	b = b[:n+1+size]
	b[n] = 0xa0 | byte(size)
	from, to := unsafe.Pointer(unsafe.StringData(s)), unsafe.Pointer(&b[n+1])
	if size < 16 {
		first, last := word(from, 0), word(from, size-8)
		setWord(to, 0, first)
		setWord(to, size-8, last)
		return b
	}
	first, last := *(*[16]byte)(from), *(*[16]byte)(unsafe.Add(from, size-16))
	*(*[16]byte)(to) = first
	*(*[16]byte)(unsafe.Add(to, size-16)) = last
	return b
}

func (m *Message) setFlags(p *[len(flagKeys)]byte) {
	const n = len(flagKeys)
	p[n-flagAA] |= bit(m.AA)
	p[n-flagTC] |= bit(m.TC)
	p[n-flagRD] |= bit(m.RD)
	p[n-flagRA] |= bit(m.RA)
	p[n-flagZ] |= bit(m.Z)
	p[n-flagAD] |= bit(m.AD)
	p[n-flagCD] |= bit(m.CD)
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
	if class != "IN" {
		b = pack.String(append(b, keyType...), typ)
		return pack.String(append(b, keyClass...), class)
	}
	switch typ {
	case "A":
		return append(b, typeAIN...)
	case "AAAA":
		return append(b, typeAAAAIN...)
	case "CNAME":
		return append(b, typeCNAMEIN...)
	case "HTTPS":
		return append(b, typeHTTPSIN...)
	default:
		return append(pack.String(append(b, keyType...), typ), classIN...)
	}
}

func appendRecords(b []byte, records []Record) []byte {
	b = pack.ArrayHeader(b, len(records))
	for i := range records {
		b = records[i].append(b)
	}
	return b
}

func (r *Record) append(b []byte) []byte {
	pairs := 4 + count(r.Data != "") + count(r.CacheFlush)
	b = append(append(b, 0x80|byte(pairs)), keyName...)
	b = appendTypeClass(appendName(b, r.Name), r.Type, r.Class)
	if r.CacheFlush {
		b = append(append(b, keyCacheFlush...), msgpackTrue)
	}
	b = pack.Uint(append(b, keyTTL...), uint64(r.TTL))
	if r.Data != "" {
		b = appendName(append(b, keyData...), r.Data)
	}
	return b
}

// append appends key and value.
func (e *EDNS) append(b []byte) []byte {
	const n = len(plainEDNS)
	start := len(b)
	b = room(b, len(ednsRun))[:start+n]
	p := (*[len(ednsRun)]byte)(b[start : start+len(ednsRun)])
	*p = ednsRun
	if e.Version < 0x80 && e.UDPSize >= 0x100 {
		p[n-6], p[n-5] = byte(e.UDPSize>>8), byte(e.UDPSize)
		p[n-17] = e.Version
		p[n-1] |= bit(e.DO)
	} else {
		const version = len(keyEDNS) + 3 + 8
		b = pack.Uint(b[:start+version], uint64(e.Version))
		b = pack.Uint(append(b, keyUDPSize...), uint64(e.UDPSize))
		b = pack.Bool(append(b, keyDO...), e.DO)
	}
	if more := e.more(); more > 0 {
		b[start+len(keyEDNS)+2] += byte(more)
		b = e.appendMore(b)
	}
	return b
}

// more is how many pairs there are beside those of plainEDNS.
func (e *EDNS) more() int {
	return count(e.CO) + count(e.ClientSubnet != "") + count(e.ClientSubnetScope != 0) + count(len(e.EDE) > 0) +
		count(e.Cookie != "") + count(e.NSID != "") + count(e.Padding != 0) + count(e.ReportChannel != "") +
		count(len(e.Options) > 0)
}

func (e *EDNS) appendMore(b []byte) []byte {
	if e.CO {
		b = append(append(b, keyCO...), msgpackTrue)
	}
	if e.ClientSubnet != "" {
		b = pack.String(append(b, keyClientSubnet...), e.ClientSubnet)
	}
	if e.ClientSubnetScope != 0 {
		b = pack.Uint(append(b, keyClientSubnetScope...), uint64(e.ClientSubnetScope))
	}
	if len(e.EDE) > 0 {
		b = pack.ArrayHeader(append(b, keyEDE...), len(e.EDE))
		for i := range e.EDE {
			b = e.EDE[i].append(b)
		}
	}
	if e.Cookie != "" {
		b = pack.String(append(b, keyCookie...), e.Cookie)
	}
	if e.NSID != "" {
		b = pack.TextString(append(b, keyNSID...), e.NSID)
	}
	if e.Padding != 0 {
		b = pack.Uint(append(b, keyPadding...), uint64(e.Padding))
	}
	if e.ReportChannel != "" {
		b = pack.String(append(b, keyReportChannel...), e.ReportChannel)
	}
	if len(e.Options) > 0 {
		b = pack.ArrayHeader(append(b, keyOptions...), len(e.Options))
		for i := range e.Options {
			b = e.Options[i].append(b)
		}
	}
	return b
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
