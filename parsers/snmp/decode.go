package snmp

import (
	"encoding/hex"
	"strconv"
	"unsafe"
)

// The PDUs (RFC 1157 section 4.1, 3416 section 3).
const (
	pduGet = 0xa0 + iota
	pduGetNext
	pduResponse
	pduSet
	pduTrapV1
	pduGetBulk
	pduInform
	pduTrap
	pduReport
)

// What can be wrong with a message; the texts are details of snmp_malformed.
const (
	problemShort      = "message ends inside an element"
	problemTag        = "element of another type than expected"
	problemIndefinite = "length of indefinite form"
	problemVersion    = "version is not 0, 1 or 3"
	problemValue      = "value does not follow its type"
	problemPadded     = "integer has more octets than it needs"
	problemPDU        = "PDU of no known type"
	problemTrailing   = "octets after the last element"
)

const redacted = "[redacted]"

// scratch is what parsing one message needs beside the state of its flow.
type scratch struct {
	text     []byte
	header   Header
	message  Message
	varbinds []Varbind

	messageID, boots, time, request, specific int32
	uptime                                    uint32
	rtt                                       int64
	problem                                   string
	cut                                       bool

	get       Get
	getNext   GetNext
	getBulk   GetBulk
	set       Set
	response  Response
	trap      Trap
	inform    Inform
	report    Report
	encrypted Encrypted
}

func (s *scratch) wrong(problem string) {
	if s.problem == "" {
		s.problem = problem
	}
}

// end takes over what was wrong in an element, and says that all of it was read
// or that something follows its last part.
func (s *scratch) end(r *reader) {
	if r.padded {
		s.wrong(problemPadded)
	}
	switch {
	case r.problem != "":
		s.wrong(r.problem)
		s.cut = true
	case len(r.b) > 0:
		s.wrong(problemTrailing)
	}
}

// since returns the text from start on. Text that has been handed out is never
// written again until the next message; when the buffer grows, what was handed
// out stays in the old one.
func (s *scratch) since(start int) string {
	if start == len(s.text) {
		return ""
	}
	return unsafe.String(&s.text[start], len(s.text)-start)
}

func (s *scratch) hex(b []byte) string {
	start := len(s.text)
	s.text = hex.AppendEncode(s.text, b)
	return s.since(start)
}

func (s *scratch) number(v int32) string {
	start := len(s.text)
	s.text = strconv.AppendInt(s.text, int64(v), 10)
	return s.since(start)
}

// borrowed is b as a string, good until b is written to.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decode reads a message up to its PDU and returns that PDU's tag; 0 if there is
// none to be read, and pduEncrypted if it is encrypted.
func (s *scratch) decode(payload []byte, communities bool) (tag byte, pdu reader) {
	s.text, s.varbinds = s.text[:0], s.varbinds[:0]
	s.problem, s.cut = "", false
	s.header = Header{Size: len(payload)}
	whole := reader{b: payload}
	r := whole.enter(tagSequence)
	s.end(&whole)
	switch version := r.integer(); {
	case r.problem != "":
	case version == 0 || version == 1:
		s.header.Version = [...]string{"1", "2c"}[version]
		if s.header.Community = borrowed(r.octets()); s.header.Community != "" && !communities {
			s.header.Community = redacted
		}
	case version == 3:
		s.header.Version = "3"
		if sealed := s.decodeV3(&r); sealed {
			return pduEncrypted, r
		}
	default:
		r.fail(problemVersion)
	}
	if r.problem != "" || len(r.b) == 0 {
		r.fail(problemShort)
		s.end(&r)
		return 0, r
	}
	tag = r.b[0]
	if tag < pduGet || tag > pduReport {
		s.wrong(problemPDU)
		return 0, r
	}
	pdu = r.enter(tag)
	s.end(&r)
	return tag, pdu
}

// pduEncrypted stands where the tag of a PDU would.
const pduEncrypted = 1

// securityLevels by the two low bits of msgFlags; privacy without authentication
// is not allowed (RFC 3412 section 6.4).
var securityLevels = [4]string{"noAuthNoPriv", "authNoPriv", "", "authPriv"}

// decodeV3 reads the head of a message of version 3 (RFC 3412 section 6) up to
// the PDU, and says whether that is encrypted.
func (s *scratch) decodeV3(r *reader) (encrypted bool) {
	h := &s.header
	global := reader{b: r.expect(tagSequence), problem: r.problem}
	s.messageID = global.integer()
	global.integer() // msgMaxSize
	flags := global.octets()
	h.SecurityModel = global.integer()
	if global.problem == "" && len(flags) != 1 {
		global.fail(problemValue)
	}
	if s.end(&global); global.problem != "" {
		r.fail(global.problem)
		return false
	}
	h.MessageID = &s.messageID
	h.SecurityLevel, h.Reportable = securityLevels[flags[0]&3], flags[0]&4 != 0
	if h.SecurityLevel == "" {
		s.wrong(problemValue)
	}
	security := r.octets()
	if r.problem == "" && h.SecurityModel == 3 {
		s.decodeUSM(security)
	}
	if flags[0]&2 != 0 {
		s.encrypted.EncryptedSize = len(r.octets())
		s.end(r)
		return true
	}
	scoped := r.enter(tagSequence)
	s.end(r)
	h.ContextEngineID = s.hex(scoped.octets())
	h.Context = borrowed(scoped.octets())
	*r = scoped
	return false
}

// decodeUSM reads the parameters of the user-based security model (RFC 3414
// section 2.4).
func (s *scratch) decodeUSM(b []byte) {
	whole := reader{b: b}
	r := whole.enter(tagSequence)
	s.end(&whole)
	engine := r.octets()
	s.boots, s.time = r.integer(), r.integer()
	user := r.octets()
	if r.problem == "" {
		h := &s.header
		h.EngineID, h.User = s.hex(engine), borrowed(user)
		h.EngineBoots, h.EngineTime = &s.boots, &s.time
	}
	r.octets() // authentication parameters
	r.octets() // privacy parameters
	s.end(&r)
}

// errorNames are those of RFC 3416 section 3.
var errorNames = [...]string{
	"noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess", "wrongType", "wrongLength",
	"wrongEncoding", "wrongValue", "noCreation", "inconsistentValue", "resourceUnavailable", "commitFailed",
	"undoFailed", "authorizationError", "notWritable", "inconsistentName",
}

// genericTraps are those of RFC 1157 section 4.1.6.
var genericTraps = [...]string{
	"coldStart", "warmStart", "linkDown", "linkUp", "authenticationFailure", "egpNeighborLoss", "enterpriseSpecific",
}

func (s *scratch) name(names []string, v int32) string {
	if v >= 0 && int(v) < len(names) {
		return names[v]
	}
	return s.number(v)
}

// decodePDU reads what all PDUs but the trap of version 1 consist of (RFC 3416
// section 3): two numbers after the request id, then the variables. It returns
// false if there is no request id.
func (s *scratch) decodePDU(tag byte, r *reader) (ok bool, first, second int32) {
	m := &s.message
	*m = Message{Header: s.header}
	if s.request = r.integer(); r.problem != "" {
		s.end(r)
		return false, 0, 0
	}
	m.RequestID = &s.request
	first, second = r.integer(), r.integer()
	if r.problem == "" && tag != pduGetBulk {
		if first != 0 || tag == pduResponse || tag == pduReport {
			m.ErrorStatus = s.name(errorNames[:], first)
		}
		m.ErrorIndex = second
	}
	s.variables(r)
	return true, first, second
}

// decodeTrap reads the trap of version 1 (RFC 1157 section 4.1.6).
func (s *scratch) decodeTrap(r *reader) bool {
	s.message = Message{Header: s.header}
	s.trap = Trap{}
	s.trap.Enterprise = s.oid(r.expect(tagOID), r)
	start := len(s.text)
	if tag, b := r.element(); r.problem == "" {
		var ok bool
		if s.text, ok = appendIPAddress(s.text, b); !ok || tag != tagIPAddress {
			s.wrong(problemValue)
		}
		s.trap.AgentAddress = s.since(start)
	}
	generic := r.integer()
	s.specific = r.integer()
	ticks := r.expect(tagTimeTicks)
	if r.problem != "" {
		s.end(r)
		return false
	}
	s.trap.GenericTrap, s.trap.SpecificTrap = s.name(genericTraps[:], generic), &s.specific
	if v, ok, padded := unsigned(ticks, 32); ok {
		s.uptime = uint32(v)
		s.trap.Uptime = &s.uptime
		r.padded = r.padded || padded
	} else {
		s.wrong(problemValue)
	}
	s.variables(r)
	return true
}

// oid writes an object identifier; "" and a problem if it is malformed.
func (s *scratch) oid(b []byte, r *reader) string {
	if r.problem != "" {
		return ""
	}
	start := len(s.text)
	var ok bool
	if s.text, ok = appendOID(s.text, b); !ok {
		s.wrong(problemValue)
	}
	return s.since(start)
}

// variables reads the list of variables at the end of a PDU.
func (s *scratch) variables(r *reader) {
	if r.problem != "" {
		s.end(r)
		return
	}
	list := r.enter(tagSequence)
	s.end(r)
	for len(list.b) > 0 {
		pair := list.enter(tagSequence)
		name := pair.expect(tagOID)
		tag, value := pair.element()
		if s.end(&pair); pair.problem != "" {
			break
		}
		v := Varbind{OID: s.oid(name, &pair)}
		s.value(&v, tag, value)
		s.varbinds = append(s.varbinds, v)
	}
	if list.problem != "" {
		s.end(&list)
	}
	s.message.Varbinds = s.varbinds
}

// value reads the value of a variable (RFC 2578 section 7.1, 3416 section 3).
func (s *scratch) value(v *Varbind, tag byte, b []byte) {
	ok := true
	switch tag {
	case tagInteger:
		n, readable, padded := signed(b)
		v.Type = "Integer32"
		if ok = readable; ok {
			v.Value = int64(n)
		}
		s.note(padded)
	case tagCounter32:
		ok = s.setUnsigned(v, "Counter32", b, 32)
	case tagGauge32:
		ok = s.setUnsigned(v, "Gauge32", b, 32)
	case tagTimeTicks:
		ok = s.setUnsigned(v, "TimeTicks", b, 32)
	case tagUInteger:
		ok = s.setUnsigned(v, "UInteger32", b, 32)
	case tagCounter64:
		ok = s.setUnsigned(v, "Counter64", b, 64)
	case tagOctets:
		v.Type, v.Value = "OctetString", borrowed(b)
	case tagOID:
		start := len(s.text)
		v.Type = "ObjectIdentifier"
		if s.text, ok = appendOID(s.text, b); ok {
			v.Value = s.since(start)
		}
	case tagIPAddress:
		start := len(s.text)
		v.Type = "IpAddress"
		if s.text, ok = appendIPAddress(s.text, b); ok {
			v.Value = s.since(start)
		}
	case tagOpaque:
		v.Type, v.Value = "Opaque", b
	case tagNSAP:
		v.Type, v.Value = "NsapAddress", b
	case tagNull:
		v.Type, ok = "Null", len(b) == 0
	case tagNoSuchObject:
		v.Type, ok = "noSuchObject", len(b) == 0
	case tagNoSuchInstance:
		v.Type, ok = "noSuchInstance", len(b) == 0
	case tagEndOfMibView:
		v.Type, ok = "endOfMibView", len(b) == 0
	default:
		v.Type, v.Value, ok = s.hex([]byte{tag}), b, false
	}
	if !ok {
		s.wrong(problemValue)
	}
}

func (s *scratch) setUnsigned(v *Varbind, typ string, b []byte, bits int) bool {
	v.Type = typ
	n, ok, padded := unsigned(b, bits)
	if ok {
		v.Value = n
	}
	s.note(padded)
	return ok
}

func (s *scratch) note(padded bool) {
	if padded {
		s.wrong(problemPadded)
	}
}
