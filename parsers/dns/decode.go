package dns

import (
	"encoding/binary"
	"unsafe"
)

// Sizes of the format (RFC 1035 sections 2.3.4 and 4.1).
const (
	headerSize = 12
	minRecord  = 11 // the root's name and the ten fixed octets
	maxMessage = 65535
	maxName    = 255
)

// What can be wrong with a message; the texts are details of dns_malformed.
const (
	problemHeader   = "shorter than a header"
	problemCounts   = "more questions or records announced than fit"
	problemShort    = "message ends inside a section"
	problemName     = "name is malformed"
	problemPointer  = "compression pointer does not lead backwards"
	problemLong     = "name is longer than 255 octets"
	problemText     = "records expand beyond the limit"
	problemData     = "resource data does not match its type"
	problemEnd      = "stream ends inside a message"
	problemTrailing = "octets after the last record"
	problemOPT      = "more than one OPT record"
	problemOption   = "EDNS option does not match its format"
)

// decoder turns one payload into a Message whose strings point into text.
type decoder struct {
	msg  []byte // borrowed from the caller
	text []byte
	// budget is how much more text this message may make.
	budget  int
	names   nameIndex
	mdns    bool
	edns    EDNS
	hasEDNS bool
	options bool // edns holds options, of this message or an earlier one
	// extended is the upper part of the response code, in place.
	extended int
	// problem is the first thing found wrong, "" if nothing was.
	problem string
	// cut says that not everything announced could be read.
	cut bool
	// keyEnd is the offset after the first question, headerSize without one.
	keyEnd int
	// keyType is the type of the first question.
	keyType uint16
}

// since returns the text from start on. Text that has been handed out is never
// written again until the next message; when the buffer grows, what was handed
// out stays in the old one.
func (d *decoder) since(start int) string {
	if start == len(d.text) {
		return ""
	}
	return unsafe.String(&d.text[start], len(d.text)-start)
}

func (d *decoder) wrong(problem string) {
	if d.problem == "" {
		d.problem = problem
	}
}

// textBudget bounds the text of a message: escapes take four characters per
// octet, and names may be repeated by pointers.
func textBudget(size int) int { return 64<<10 + 4*size }

// decode reads payload into m (RFC 1035 section 4.1). It returns false if header
// or first question could not be read.
func (d *decoder) decode(payload []byte, m *Message) bool {
	d.msg = payload
	d.text = d.text[:0]
	d.names.reset()
	d.budget = textBudget(len(payload))
	d.hasEDNS, d.problem, d.cut = false, "", false
	d.keyEnd, d.keyType = headerSize, 0
	m.Questions, m.Answers, m.Authorities, m.Additionals = m.Questions[:0], m.Answers[:0], m.Authorities[:0], m.Additionals[:0]
	m.EDNS = nil
	if len(payload) < headerSize {
		d.wrong(problemHeader)
		return false
	}
	h := payload[:headerSize:headerSize]
	d.header(h, m)
	questions, answers := int(binary.BigEndian.Uint16(h[4:])), int(binary.BigEndian.Uint16(h[6:]))
	authorities, additionals := int(binary.BigEndian.Uint16(h[8:])), int(binary.BigEndian.Uint16(h[10:]))
	if questions*5+(answers+authorities+additionals)*minRecord > len(payload)-headerSize {
		d.wrong(problemCounts)
	}
	off := d.questions(headerSize, questions, m)
	if questions > 0 && len(m.Questions) == 0 {
		return false
	}
	if answers > 0 && off > 0 {
		m.Answers, off = d.records(m.Answers, off, answers, false)
	}
	if authorities > 0 && off > 0 {
		m.Authorities, off = d.records(m.Authorities, off, authorities, false)
	}
	if additionals > 0 && off > 0 {
		m.Additionals, off = d.records(m.Additionals, off, additionals, true)
	}
	if off < 0 {
		d.cut = true
	} else if off < len(payload) && h[2]>>3&15 != opcodeDSO {
		d.wrong(problemTrailing)
	}
	d.finish(h, m)
	return true
}

// header reads identifier and flags (RFC 1035 section 4.1.1, RFC 4035 section 3).
func (d *decoder) header(h []byte, m *Message) {
	m.ID = binary.BigEndian.Uint16(h)
	hi, lo := h[2], h[3]
	m.Opcode = opcodeNames[hi>>3&15]
	m.AA = hi&0x04 != 0
	m.TC = hi&0x02 != 0
	m.RD = hi&0x01 != 0
	m.RA = lo&0x80 != 0
	m.Z = lo&0x40 != 0
	m.AD = lo&0x20 != 0
	m.CD = lo&0x10 != 0
	m.Size = len(d.msg)
}

// finish sets what depends on the OPT record.
func (d *decoder) finish(h []byte, m *Message) {
	rcode := int(h[3] & 15)
	if d.hasEDNS {
		m.EDNS = &d.edns
		rcode |= d.extended
	}
	switch {
	case rcode >= len(rcodeNames):
		m.Rcode = d.rcodeText(rcode)
	case rcode == 0 && h[2]&0x80 == 0:
		m.Rcode = ""
	default:
		m.Rcode = rcodeNames[rcode]
	}
}

// questions reads the question section (RFC 1035 section 4.1.2) and returns the
// offset after it, -1 if it could not be read to its end.
func (d *decoder) questions(off, n int, m *Message) int {
	for i := range n {
		name, next := d.name(off)
		if next < 0 {
			return -1
		}
		if next+4 > len(d.msg) {
			d.wrong(problemShort)
			return -1
		}
		if d.budget -= len(name); d.budget < 0 {
			d.wrong(problemText)
			return -1
		}
		typ, class := binary.BigEndian.Uint16(d.msg[next:]), binary.BigEndian.Uint16(d.msg[next+2:])
		off = next + 4
		if i == 0 {
			d.keyEnd, d.keyType = off, typ
		}
		if len(m.Questions) == cap(m.Questions) {
			m.Questions = append(m.Questions, Question{})
		} else {
			m.Questions = m.Questions[:len(m.Questions)+1]
		}
		q := &m.Questions[len(m.Questions)-1]
		q.Name, q.UnicastResponse = name, false
		if d.mdns {
			q.UnicastResponse = class&0x8000 != 0
			class &= 0x7fff
		}
		if class == 1 && int(typ) < len(typeNames) && typeNames[typ] != "" {
			q.Type, q.Class = typeNames[typ], "IN"
		} else {
			q.Type, q.Class = d.typeClass(typ, class)
		}
	}
	return off
}

// owner is name for the names that records begin with: mostly that of the first
// question, or the root.
func (d *decoder) owner(off int) (string, int) {
	if b := d.msg; off+1 < len(b) {
		switch c := binary.BigEndian.Uint16(b[off:]); {
		case c == 0xc000|headerSize && d.names.first != 0:
			return unsafe.String(&d.text[0], d.names.octets-1), off + 2
		case c < 0x100:
			return ".", off + 1
		}
	}
	return d.name(off)
}

// records reads one section of n records (RFC 1035 section 4.1.3) and returns
// the grown list and the offset after it, -1 if it could not be read to its end.
func (d *decoder) records(list []Record, off, n int, additional bool) ([]Record, int) {
	for range n {
		name, next := d.owner(off)
		if next < 0 {
			return list, -1
		}
		if next+10 > len(d.msg) {
			d.wrong(problemShort)
			return list, -1
		}
		f := d.msg[next : next+10 : next+10]
		typ, class := binary.BigEndian.Uint16(f), binary.BigEndian.Uint16(f[2:])
		start := next + 10
		off = start + int(binary.BigEndian.Uint16(f[8:]))
		if off > len(d.msg) {
			d.wrong(problemShort)
			return list, -1
		}
		if typ == typeOPT && additional {
			d.opt(f, start, off)
			continue
		}
		if len(list) < cap(list) {
			list = list[:len(list)+1]
		} else {
			list = append(list, Record{})
		}
		r := &list[len(list)-1]
		r.Name, r.CacheFlush = name, false
		if d.mdns {
			r.CacheFlush = class&0x8000 != 0
			class &= 0x7fff
		}
		if class == 1 && int(typ) < len(typeNames) && typeNames[typ] != "" {
			r.Type, r.Class = typeNames[typ], "IN"
		} else {
			r.Type, r.Class = d.typeClass(typ, class)
		}
		r.TTL = binary.BigEndian.Uint32(f[4:])
		r.Data = d.data(typ, start, off)
		if d.budget -= len(name) + len(r.Data); d.budget < 0 {
			d.wrong(problemText)
			return list[:len(list)-1], -1
		}
	}
	return list, off
}
