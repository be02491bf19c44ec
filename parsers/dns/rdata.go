package dns

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// field is one part of a record's data: how it stands on the wire and in text.
type field uint8

// The fields. "Rest" is what is left of the data.
const (
	fU8        field = iota + 1 // 8 bits, decimal
	fU16                        // 16 bits, decimal
	fU32                        // 32 bits, decimal
	fName                       // a name
	fNames                      // names to the end
	fString                     // a character-string in quotes
	fOptString                  // fString, or nothing at the end
	fBare                       // a character-string without quotes
	fStrings                    // one or more character-strings to the end
	fOctets                     // rest as one quoted string without length
	fHex                        // rest in lower-case hex
	fHexUpper                   // rest in upper-case hex
	fBase64                     // rest in base64
	fA                          // IPv4 address
	fAAAA                       // IPv6 address
	fType                       // a type's mnemonic
	fTypes                      // rest as a type bitmap
	fTime                       // 32 bits of seconds as a date
	fTime48                     // 48 bits of seconds as a date
	fSalt                       // 8-bit length, upper-case hex, "-" if empty
	fHash                       // 8-bit length, base32hex
	fSized                      // 16-bit length printed, lower-case hex
	fSizedUp                    // 16-bit length printed, upper-case hex
	fCertType                   // 16 bits, certificate type
	fAlgorithm                  // 8 bits, DNSSEC algorithm
	fEUI48                      // 6 octets with dashes
	fEUI64                      // 8 octets with dashes
	fGroups                     // 8 octets, groups of four lower-case digits
	fGroupsUp                   // the same in upper case
	fLOC                        // RFC 1876
	fAPL                        // RFC 3123
	fSVCB                       // SvcParams of RFC 9460
	fGateway                    // gateway type, algorithm, gateway: RFC 4025
	fRelay                      // discovery and type, relay: RFC 8777
	fHIP                        // the fixed part of RFC 8005
)

// layouts describe the data of types below 262, in wire order.
var layouts = [...][]field{
	typeA:          {fA},
	typeNS:         {fName},
	typeMD:         {fName},
	typeMF:         {fName},
	typeCNAME:      {fName},
	typeSOA:        {fName, fName, fU32, fU32, fU32, fU32, fU32},
	typeMB:         {fName},
	typeMG:         {fName},
	typeMR:         {fName},
	typePTR:        {fName},
	typeHINFO:      {fString, fString},
	typeMINFO:      {fName, fName},
	typeMX:         {fU16, fName},
	typeTXT:        {fStrings},
	typeRP:         {fName, fName},                                              // RFC 1183 section 2.2
	typeAFSDB:      {fU16, fName},                                               // RFC 1183 section 1
	typeX25:        {fBare},                                                     // RFC 1183 section 3.1
	typeISDN:       {fString, fOptString},                                       // RFC 1183 section 3.2
	typeRT:         {fU16, fName},                                               // RFC 1183 section 3.3
	typeNSAPPTR:    {fName},                                                     // RFC 1348
	typeSIG:        {fType, fU8, fU8, fU32, fTime, fTime, fU16, fName, fBase64}, // RFC 2535 section 4.1
	typeKEY:        {fU16, fU8, fU8, fBase64},                                   // RFC 2535 section 3.1
	typePX:         {fU16, fName, fName},                                        // RFC 2163 section 4
	typeGPOS:       {fBare, fBare, fBare},                                       // RFC 1712 section 3
	typeAAAA:       {fAAAA},                                                     // RFC 3596 section 2.2
	typeLOC:        {fLOC},                                                      // RFC 1876
	typeNXT:        {fName, fTypes},
	typeEID:        {fHexUpper},
	typeNIMLOC:     {fHexUpper},
	typeSRV:        {fU16, fU16, fU16, fName},                                   // RFC 2782
	typeNAPTR:      {fU16, fU16, fString, fString, fString, fName},              // RFC 3403 section 4
	typeKX:         {fU16, fName},                                               // RFC 2230
	typeCERT:       {fCertType, fU16, fAlgorithm, fBase64},                      // RFC 4398 section 2
	typeDNAME:      {fName},                                                     // RFC 6672 section 2.1
	typeAPL:        {fAPL},                                                      // RFC 3123
	typeDS:         {fU16, fU8, fU8, fHexUpper},                                 // RFC 4034 section 5
	typeSSHFP:      {fU8, fU8, fHexUpper},                                       // RFC 4255 section 3
	typeIPSECKEY:   {fU8, fGateway, fBase64},                                    // RFC 4025 section 2
	typeRRSIG:      {fType, fU8, fU8, fU32, fTime, fTime, fU16, fName, fBase64}, // RFC 4034 section 3
	typeNSEC:       {fName, fTypes},                                             // RFC 4034 section 4
	typeDNSKEY:     {fU16, fU8, fU8, fBase64},                                   // RFC 4034 section 2
	typeDHCID:      {fBase64},                                                   // RFC 4701 section 3
	typeNSEC3:      {fU8, fU8, fU16, fSalt, fHash, fTypes},                      // RFC 5155 section 3
	typeNSEC3PARAM: {fU8, fU8, fU16, fSalt},                                     // RFC 5155 section 4
	typeTLSA:       {fU8, fU8, fU8, fHex},                                       // RFC 6698 section 2
	typeSMIMEA:     {fU8, fU8, fU8, fHex},                                       // RFC 8162 section 2
	typeHIP:        {fHIP, fNames},                                              // RFC 8005 section 5
	typeNINFO:      {fStrings},
	typeRKEY:       {fU16, fU8, fU8, fBase64},
	typeTALINK:     {fName, fName},
	typeCDS:        {fU16, fU8, fU8, fHexUpper}, // RFC 7344 section 3.1
	typeCDNSKEY:    {fU16, fU8, fU8, fBase64},   // RFC 7344 section 3.2
	typeOPENPGPKEY: {fBase64},                   // RFC 7929 section 2
	typeCSYNC:      {fU32, fU16, fTypes},        // RFC 7477 section 2.1
	typeZONEMD:     {fU32, fU8, fU8, fHex},      // RFC 8976 section 2
	typeSVCB:       {fU16, fName, fSVCB},        // RFC 9460 section 2
	typeHTTPS:      {fU16, fName, fSVCB},
	typeSPF:        {fStrings},
	typeUINFO:      {fString},
	typeUID:        {fU32},
	typeGID:        {fU32},
	typeNID:        {fU16, fGroups},                                      // RFC 6742 section 2.1
	typeL32:        {fU16, fA},                                           // RFC 6742 section 2.2
	typeL64:        {fU16, fGroupsUp},                                    // RFC 6742 section 2.3
	typeLP:         {fU16, fName},                                        // RFC 6742 section 2.4
	typeEUI48:      {fEUI48},                                             // RFC 7043 section 3
	typeEUI64:      {fEUI64},                                             // RFC 7043 section 4
	typeTKEY:       {fName, fTime, fTime, fU16, fU16, fSized, fSized},    // RFC 2930 section 2
	typeTSIG:       {fName, fTime48, fU16, fSizedUp, fU16, fU16, fSized}, // RFC 8945 section 4.2
	typeURI:        {fU16, fU16, fOctets},                                // RFC 7553 section 4
	typeCAA:        {fU8, fBare, fOctets},                                // RFC 8659 section 4
	typeAVC:        {fStrings},
	typeAMTRELAY:   {fU8, fRelay}, // RFC 8777 section 4
	typeRESINFO:    {fStrings},    // RFC 9606
}

// layoutDS serves the two types far above the others.
var layoutDS = layouts[typeDS]

func layoutOf(typ uint16) []field {
	switch {
	case int(typ) < len(layouts):
		return layouts[typ]
	case typ == typeTA || typ == typeDLV: // RFC 4431
		return layoutDS
	default:
		return nil
	}
}

// data returns the presentation of the record data in msg[off:end], which lies
// inside the message; "" if there is none.
func (d *decoder) data(typ uint16, off, end int) string {
	if off == end {
		return ""
	}
	start := len(d.text)
	switch {
	case typ == typeA && end-off == 4:
		d.text = appendIPv4(d.text, d.msg[off:end])
		return unsafe.String(&d.text[start], len(d.text)-start)
	case typ == typeAAAA && end-off == 16:
		d.text = appendIPv6(d.text, d.msg[off:end])
		return unsafe.String(&d.text[start], len(d.text)-start)
	case typ == typeCNAME || typ == typeNS || typ == typePTR:
		refs := len(d.names.refs)
		if name, next := d.name(off); next == end {
			return name
		}
		d.names.refs = d.names.refs[:refs]
	default:
		if layout := layoutOf(typ); layout == nil {
			return d.generic(start, off, end)
		} else if d.fields(layout, off, end) {
			return d.since(start)
		}
	}
	d.wrong(problemData)
	return d.generic(start, off, end)
}

// generic returns the form for unknown types (RFC 3597 section 5) in place of
// the text from start on.
func (d *decoder) generic(start, off, end int) string {
	b := append(d.text[:start], `\# `...)
	b = append(strconv.AppendUint(b, uint64(end-off), 10), ' ')
	d.text = appendHex(b, d.msg[off:end], lowerDigits)
	return d.since(start)
}

// fields appends the data as its layout says, a space between fields. It reports
// whether the data matched to its last octet.
func (d *decoder) fields(layout []field, off, end int) bool {
	refs := len(d.names.refs)
	start := len(d.text)
	for i, f := range layout {
		if i > 0 {
			d.text = append(d.text, ' ')
		}
		before := len(d.text)
		if off = d.field(f, off, end); off < 0 || off > end {
			// Names noted on the way stand in text that is given up.
			d.names.refs = d.names.refs[:refs]
			return false
		}
		if len(d.text) == before && i == len(layout)-1 && i > 0 {
			d.text = d.text[:before-1]
		}
	}
	if off != end {
		d.names.refs = d.names.refs[:refs]
	}
	return off == end && len(d.text) >= start
}

// take returns n octets at off and the offset after them, nil and -1 if the data
// ends before.
func (d *decoder) take(off, end, n int) ([]byte, int) {
	if n > end-off {
		return nil, -1
	}
	return d.msg[off : off+n : off+n], off + n
}

// sized returns what a length of width octets at off announces.
func (d *decoder) sized(off, end, width int) ([]byte, int) {
	p, off := d.take(off, end, width)
	if off < 0 {
		return nil, -1
	}
	n := int(p[0])
	if width == 2 {
		n = n<<8 | int(p[1])
	}
	return d.take(off, end, n)
}

// widths are the lengths of fields of fixed size.
var widths = [...]int{
	fU8: 1, fU16: 2, fU32: 4, fA: 4, fAAAA: 16, fType: 2, fTime: 4, fTime48: 6,
	fCertType: 2, fAlgorithm: 1, fEUI48: 6, fEUI64: 8, fGroups: 8, fGroupsUp: 8, fLOC: 16, fHIP: 0,
}

// field appends one field and returns the offset after it, -1 if it is malformed.
func (d *decoder) field(f field, off, end int) int {
	if w := widths[f]; w > 0 {
		p, next := d.take(off, end, w)
		if next < 0 {
			return -1
		}
		return d.fixed(f, p, next)
	}
	switch f {
	case fName:
		return d.dataName(off, end)
	case fNames:
		return d.dataNames(off, end)
	case fHex:
		d.text = appendHex(d.text, d.msg[off:end], lowerDigits)
		return end
	case fHexUpper:
		d.text = appendHex(d.text, d.msg[off:end], upperDigits)
		return end
	case fBase64:
		d.text = appendBase64(d.text, d.msg[off:end])
		return end
	case fOctets:
		d.text = appendQuoted(d.text, d.msg[off:end])
		return end
	case fStrings:
		return d.strings(off, end)
	case fTypes:
		return d.types(off, end)
	case fAPL:
		return d.prefixes(off, end)
	case fSVCB:
		return d.params(off, end)
	case fGateway:
		return d.gateway(off, end)
	case fRelay:
		return d.relay(off, end)
	case fHIP:
		return d.hip(off, end)
	case fOptString:
		if off == end {
			return end
		}
	}
	return d.counted(f, off, end)
}

// fixed appends a field of fixed size.
func (d *decoder) fixed(f field, p []byte, next int) int {
	switch f {
	case fU8:
		d.text = strconv.AppendUint(d.text, uint64(p[0]), 10)
	case fU16:
		d.text = strconv.AppendUint(d.text, uint64(binary.BigEndian.Uint16(p)), 10)
	case fU32:
		d.text = strconv.AppendUint(d.text, uint64(binary.BigEndian.Uint32(p)), 10)
	case fA:
		d.text = appendIPv4(d.text, p)
	case fAAAA:
		d.text = appendIPv6(d.text, p)
	case fType:
		d.appendType(binary.BigEndian.Uint16(p))
	case fTime:
		d.text = appendTime(d.text, int64(binary.BigEndian.Uint32(p)))
	case fTime48:
		d.text = appendTime(d.text, int64(binary.BigEndian.Uint16(p))<<32|int64(binary.BigEndian.Uint32(p[2:])))
	case fCertType:
		d.mnemonic(certTypeNames[binary.BigEndian.Uint16(p)], binary.BigEndian.Uint16(p))
	case fAlgorithm:
		d.mnemonic(algorithmNames[p[0]], uint16(p[0]))
	case fEUI48, fEUI64:
		d.text = appendGroups(d.text, p, 1, '-', lowerDigits)
	case fGroups:
		d.text = appendGroups(d.text, p, 2, ':', lowerDigits)
	case fGroupsUp:
		d.text = appendGroups(d.text, p, 2, ':', upperDigits)
	case fLOC:
		if p[0] != 0 {
			return -1
		}
		d.text = appendLocation(d.text, p)
	}
	return next
}

// counted appends a field that begins with its length.
func (d *decoder) counted(f field, off, end int) int {
	width := 1
	if f == fSized || f == fSizedUp {
		width = 2
	}
	p, next := d.sized(off, end, width)
	if next < 0 {
		return -1
	}
	switch f {
	case fString, fOptString:
		d.text = appendQuoted(d.text, p)
	case fBare:
		d.text = appendEscaped(d.text, p)
	case fSalt:
		if len(p) == 0 {
			d.text = append(d.text, '-')
		}
		d.text = appendHex(d.text, p, upperDigits)
	case fHash:
		d.text = appendBase32(d.text, p)
	case fSized:
		d.appendSized(p, lowerDigits)
	case fSizedUp:
		d.appendSized(p, upperDigits)
	}
	return next
}

func (d *decoder) appendSized(p []byte, digits string) {
	d.text = strconv.AppendUint(d.text, uint64(len(p)), 10)
	if len(p) > 0 {
		d.text = appendHex(append(d.text, ' '), p, digits)
	}
}

func (d *decoder) mnemonic(name string, n uint16) {
	if name != "" {
		d.text = append(d.text, name...)
		return
	}
	d.text = strconv.AppendUint(d.text, uint64(n), 10)
}

func (d *decoder) appendType(t uint16) {
	if n := typeName(t); n != "" {
		d.text = append(d.text, n...)
		return
	}
	d.text = strconv.AppendUint(append(d.text, "TYPE"...), uint64(t), 10)
}

// dataName appends a name that must end inside the data.
func (d *decoder) dataName(off, end int) int {
	start := len(d.text)
	next := d.expand(off)
	if next < 0 || next > end {
		return -1
	}
	if start == len(d.text) {
		d.text = append(d.text, '.')
	}
	return next
}

func (d *decoder) dataNames(off, end int) int {
	for first := true; off >= 0 && off < end; first = false {
		if len(d.text) > d.budget {
			return -1
		}
		if !first {
			d.text = append(d.text, ' ')
		}
		off = d.dataName(off, end)
	}
	return off
}

// strings appends character-strings to the end (RFC 1035 section 3.3.14).
func (d *decoder) strings(off, end int) int {
	for first := true; off < end; first = false {
		p, next := d.sized(off, end, 1)
		if next < 0 {
			return -1
		}
		if !first {
			d.text = append(d.text, ' ')
		}
		d.text, off = appendQuoted(d.text, p), next
	}
	return off
}

// types appends a type bitmap (RFC 4034 section 4.1.2). The space before its
// first type is the caller's.
func (d *decoder) types(off, end int) int {
	window, first := -1, true
	for off < end {
		p, next := d.take(off, end, 2)
		if next < 0 || int(p[0]) <= window || p[1] == 0 || p[1] > 32 || len(d.text) > d.budget {
			return -1
		}
		window = int(p[0])
		bits, next := d.take(next, end, int(p[1]))
		if next < 0 {
			return -1
		}
		for i, octet := range bits {
			for bit := 0; octet != 0; bit, octet = bit+1, octet<<1 {
				if octet&0x80 == 0 {
					continue
				}
				if !first {
					d.text = append(d.text, ' ')
				}
				first = false
				d.appendType(uint16(window<<8 | i<<3 | bit))
			}
		}
		off = next
	}
	return off
}
