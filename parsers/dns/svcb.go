package dns

import (
	"encoding/binary"
	"strconv"
)

// The SvcParamKeys with a format of their own (RFC 9460 section 14.3.2).
const (
	paramMandatory     = 0
	paramALPN          = 1
	paramNoDefaultALPN = 2
	paramPort          = 3
	paramIPv4Hint      = 4
	paramECH           = 5
	paramIPv6Hint      = 6
	paramDoHPath       = 7
	paramOHTTP         = 8
)

var paramNames = [...]string{
	"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp",
}

// params appends SvcParams as key="value" (RFC 9460 section 2.1). The space
// before the first is the caller's.
func (d *decoder) params(off, end int) int {
	last := -1
	for off < end {
		h, next := d.take(off, end, 4)
		if next < 0 {
			return -1
		}
		key := int(binary.BigEndian.Uint16(h))
		v, next := d.take(next, end, int(binary.BigEndian.Uint16(h[2:])))
		if next < 0 || key <= last || key == 65535 {
			return -1
		}
		if last >= 0 {
			d.text = append(d.text, ' ')
		}
		d.appendParamKey(key)
		d.text = append(d.text, '=', '"')
		if !d.paramValue(key, v) {
			return -1
		}
		d.text = append(d.text, '"')
		off, last = next, key
	}
	return off
}

func (d *decoder) appendParamKey(key int) {
	if key < len(paramNames) {
		d.text = append(d.text, paramNames[key]...)
		return
	}
	d.text = strconv.AppendUint(append(d.text, "key"...), uint64(key), 10)
}

// paramValue appends a value without its quotes (RFC 9460 section 7).
func (d *decoder) paramValue(key int, v []byte) bool {
	switch key {
	case paramMandatory:
		for i := 0; i+1 < len(v); i += 2 {
			d.comma(i)
			d.appendParamKey(int(binary.BigEndian.Uint16(v[i:])))
		}
		return len(v)%2 == 0
	case paramALPN:
		return d.protocols(v)
	case paramNoDefaultALPN, paramOHTTP:
		return len(v) == 0
	case paramPort:
		if len(v) != 2 {
			return false
		}
		d.text = strconv.AppendUint(d.text, uint64(binary.BigEndian.Uint16(v)), 10)
		return true
	case paramIPv4Hint:
		for i := 0; i+4 <= len(v); i += 4 {
			d.comma(i)
			d.text = appendIPv4(d.text, v[i:])
		}
		return len(v) > 0 && len(v)%4 == 0
	case paramIPv6Hint:
		for i := 0; i+16 <= len(v); i += 16 {
			d.comma(i)
			d.text = appendIPv6(d.text, v[i:])
		}
		return len(v) > 0 && len(v)%16 == 0
	case paramECH:
		d.text = appendBase64(d.text, v)
		return true
	default:
		for _, c := range v {
			d.paramOctet(c)
		}
		return true
	}
}

func (d *decoder) comma(i int) {
	if i > 0 {
		d.text = append(d.text, ',')
	}
}

// protocols appends ALPN identifiers: a comma-separated list, whose own escapes
// are escaped once more (RFC 9460 section 7.1.1 and appendix A.1).
func (d *decoder) protocols(v []byte) bool {
	for i := 0; i < len(v); {
		n := int(v[i])
		if i+1+n > len(v) {
			return false
		}
		d.comma(i)
		for _, c := range v[i+1 : i+1+n] {
			switch c {
			case ',':
				d.text = append(d.text, `\\\044`...)
			case '\\':
				d.text = append(d.text, `\\\092`...)
			default:
				d.paramOctet(c)
			}
		}
		i += 1 + n
	}
	return true
}

func (d *decoder) paramOctet(c byte) {
	switch {
	case c < ' ' || c > '~':
		d.text = appendDDD(d.text, c)
	case c == '"' || c == ';' || c == ' ' || c == '\\':
		d.text = append(d.text, '\\', c)
	default:
		d.text = append(d.text, c)
	}
}
