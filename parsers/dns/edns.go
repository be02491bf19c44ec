package dns

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// The option codes with fields of their own (IANA "DNS EDNS0 Option Codes").
const (
	optionNSID          = 3
	optionClientSubnet  = 8
	optionCookie        = 10
	optionPadding       = 12
	optionEDE           = 15
	optionReportChannel = 18
)

// opt reads an OPT record (RFC 6891 section 6.1.2): f are the ten fixed octets
// after its name, its options are in msg[off:end].
func (d *decoder) opt(f []byte, off, end int) {
	if d.hasEDNS {
		d.wrong(problemOPT)
		return
	}
	d.hasEDNS = true
	e := &d.edns
	if d.options { // else there is nothing to clear
		*e = EDNS{EDE: e.EDE[:0], Options: e.Options[:0]}
	}
	d.options = off < end
	e.Version, e.UDPSize = f[5], binary.BigEndian.Uint16(f[2:])
	e.DO, e.CO = f[6]&0x80 != 0, f[6]&0x40 != 0
	d.extended = int(f[4]) << 4
	for off < end {
		h, next := d.take(off, end, 4)
		if next < 0 {
			d.wrong(problemOption)
			return
		}
		code := binary.BigEndian.Uint16(h)
		stop := next + int(binary.BigEndian.Uint16(h[2:]))
		if stop > end {
			d.wrong(problemOption)
			return
		}
		if !d.option(e, code, next, stop) {
			d.wrong(problemOption)
			d.otherOption(e, code, next, stop)
		}
		off = stop
	}
}

// option reads one option; false if it does not follow its format.
func (d *decoder) option(e *EDNS, code uint16, off, end int) bool {
	v := d.msg[off:end:end]
	switch code {
	case optionNSID:
		e.NSID = d.copied(v)
	case optionClientSubnet:
		return d.clientSubnet(e, v)
	case optionCookie: // RFC 7873 section 4
		if len(v) != 8 && (len(v) < 16 || len(v) > 40) {
			return false
		}
		e.Cookie = d.hexText(v)
	case optionPadding:
		e.Padding += len(v)
	case optionEDE: // RFC 8914 section 2
		if len(v) < 2 {
			return false
		}
		e.EDE = append(e.EDE, ExtendedError{Code: binary.BigEndian.Uint16(v), Text: d.copied(trimNUL(v[2:]))})
	case optionReportChannel: // RFC 9567 section 6.1
		name, next := d.name(off)
		if next != end {
			return false
		}
		e.ReportChannel = name
	default:
		d.otherOption(e, code, off, end)
	}
	return true
}

func (d *decoder) otherOption(e *EDNS, code uint16, off, end int) {
	e.Options = append(e.Options, Option{Code: code, Data: d.hexText(d.msg[off:end])})
}

// clientSubnet reads RFC 7871 section 6.
func (d *decoder) clientSubnet(e *EDNS, v []byte) bool {
	if len(v) < 4 {
		return false
	}
	family, source, scope := binary.BigEndian.Uint16(v), v[2], v[3]
	ip, ok := address(family, v[4:])
	if !ok || int(source) > ip.BitLen() || int(scope) > ip.BitLen() || len(v)-4 < (int(source)+7)/8 {
		return false
	}
	start := len(d.text)
	d.text = append(ip.AppendTo(d.text), '/')
	d.text = strconv.AppendUint(d.text, uint64(source), 10)
	e.ClientSubnet, e.ClientSubnetScope = d.since(start), scope
	return true
}

// trimNUL drops the terminator that EXTRA-TEXT may have (RFC 8914 section 2).
func trimNUL(v []byte) []byte {
	if n := len(v); n > 0 && v[n-1] == 0 {
		return v[:n-1]
	}
	return v
}

func (d *decoder) hexText(v []byte) string {
	start := len(d.text)
	d.text = appendHex(d.text, v, lowerDigits)
	return d.since(start)
}

// copied returns v as a string in the text: what is emitted never points into
// the payload.
func (d *decoder) copied(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	start := len(d.text)
	d.text = append(d.text, v...)
	return unsafe.String(&d.text[start], len(v))
}
