package ingest

import (
	"bytes"
	"strings"
)

// Option codes of an interface description block and of packet blocks
// (draft-ietf-opsawg-pcapng, sections 3.5, 4.2 and 4.3).
const (
	optEnd        = 0
	optIfName     = 2
	optIfTsresol  = 9
	optIfFcslen   = 13
	optIfTsoffset = 14
	optPacketFlag = 2
)

const (
	maxOptions    = 256 // looked at per block
	maxDeviceName = 255 // bytes kept of if_name
	microseconds  = 6   // if_tsresol where it is not given
)

// ngInterface is an interface of the current section.
type ngInterface struct {
	shared     *Interface
	resolution resolution
	snaplen    uint32
	fcs        int // bytes of frame check sequence at the end of each frame
}

// addInterface takes the body of an interface description block (section 4.2).
func (p *pcapng) addInterface(body []byte) *fault {
	const header = 8
	if len(body) < header {
		return faultf(4, "interface description has %d bytes, want at least %d", len(body), header)
	}
	if len(p.interfaces) == maxInterfaces {
		return faultf(0, "section has more than %d interfaces", maxInterfaces)
	}
	added := ngInterface{snaplen: p.u32(body[4:])}
	added.shared = &Interface{
		Name:     p.name,
		LinkType: LinkType(p.u16(body)),
		Snaplen:  snaplen(added.snaplen),
		Input:    p.input,
	}
	if bad := p.interfaceOptions(body[header:], &added); bad != nil {
		bad.skip += 8 + header
		return bad
	}
	p.interfaces = append(p.interfaces, added)
	return nil
}

// interfaceOptions reads what is told beside the link type. An option that does
// not fit its block is damage, since times may depend on it.
func (p *pcapng) interfaceOptions(b []byte, to *ngInterface) *fault {
	tsresol, tsoffset := uint8(microseconds), int64(0)
	all := b
	for range maxOptions {
		code, value, rest, ok := p.option(b)
		if !ok {
			return &fault{len(all) - len(b), "interface option does not fit its block"}
		}
		switch {
		case code == optEnd:
			to.resolution = newResolution(tsresol, tsoffset)
			return nil
		case code == optIfName:
			to.shared.Device = deviceName(value)
		case code == optIfTsresol && len(value) == 1:
			tsresol = value[0]
		case code == optIfFcslen && len(value) == 1:
			to.fcs = fcsBytes(value[0])
		case code == optIfTsoffset && len(value) == 8:
			tsoffset = p.i64(value)
		}
		b = rest
	}
	return &fault{len(all) - len(b), "interface has too many options"}
}

// i64 reads in the section's byte order.
func (p *pcapng) i64(b []byte) int64 {
	first, second := uint64(p.u32(b)), uint64(p.u32(b[4:]))
	if p.swapped {
		return int64(first<<32 | second)
	}
	return int64(second<<32 | first)
}

// option reads one option (section 3.5). The end of the block ends the options
// like an opt_endofopt.
func (p *pcapng) option(b []byte) (code uint16, value, rest []byte, ok bool) {
	if len(b) == 0 {
		return optEnd, nil, nil, true
	}
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	code = p.u16(b)
	size := int(p.u16(b[2:]))
	padded := 4 + (size+3)&^3
	if padded > len(b) {
		return 0, nil, nil, false
	}
	return code, b[4 : 4+size], b[padded:], true
}

// deviceName makes if_name printable: it is somebody else's text.
func deviceName(value []byte) string {
	value, _, _ = bytes.Cut(value, []byte{0})
	if len(value) > maxDeviceName {
		value = value[:maxDeviceName]
	}
	return strings.ToValidUTF8(string(value), "�")
}

// fcsBytes reads if_fcslen. The specification counts bits, and some writers
// bytes; no frame check sequence has fewer than 8 bits or more than 7 bytes.
func fcsBytes(fcslen uint8) int {
	if fcslen < 8 {
		return int(fcslen)
	}
	return int(fcslen / 8)
}

// fcsOption looks for the flags of a packet, which may give another length of
// the frame check sequence than its interface. Options that make no sense are
// passed over: the packet stands without them.
func (p *pcapng) fcsOption(b []byte, fcs int) int {
	for range maxOptions {
		code, value, rest, ok := p.option(b)
		if !ok || code == optEnd {
			break
		}
		if code == optPacketFlag && len(value) == 4 {
			if n := p.u32(value) >> 5 & 0xf; n > 0 {
				return int(n)
			}
			break
		}
		b = rest
	}
	return fcs
}
