package dns

import "strconv"

// The numbers that the code needs by name (IANA "Domain Name System Parameters").
const (
	typeA          = 1
	typeNS         = 2
	typeMD         = 3
	typeMF         = 4
	typeCNAME      = 5
	typeSOA        = 6
	typeMB         = 7
	typeMG         = 8
	typeMR         = 9
	typePTR        = 12
	typeHINFO      = 13
	typeMINFO      = 14
	typeMX         = 15
	typeTXT        = 16
	typeRP         = 17
	typeAFSDB      = 18
	typeX25        = 19
	typeISDN       = 20
	typeRT         = 21
	typeNSAPPTR    = 23
	typeSIG        = 24
	typeKEY        = 25
	typePX         = 26
	typeGPOS       = 27
	typeAAAA       = 28
	typeLOC        = 29
	typeNXT        = 30
	typeEID        = 31
	typeNIMLOC     = 32
	typeSRV        = 33
	typeNAPTR      = 35
	typeKX         = 36
	typeCERT       = 37
	typeDNAME      = 39
	typeOPT        = 41
	typeAPL        = 42
	typeDS         = 43
	typeSSHFP      = 44
	typeIPSECKEY   = 45
	typeRRSIG      = 46
	typeNSEC       = 47
	typeDNSKEY     = 48
	typeDHCID      = 49
	typeNSEC3      = 50
	typeNSEC3PARAM = 51
	typeTLSA       = 52
	typeSMIMEA     = 53
	typeHIP        = 55
	typeNINFO      = 56
	typeRKEY       = 57
	typeTALINK     = 58
	typeCDS        = 59
	typeCDNSKEY    = 60
	typeOPENPGPKEY = 61
	typeCSYNC      = 62
	typeZONEMD     = 63
	typeSVCB       = 64
	typeHTTPS      = 65
	typeSPF        = 99
	typeUINFO      = 100
	typeUID        = 101
	typeGID        = 102
	typeNID        = 104
	typeL32        = 105
	typeL64        = 106
	typeLP         = 107
	typeEUI48      = 108
	typeEUI64      = 109
	typeTKEY       = 249
	typeTSIG       = 250
	typeIXFR       = 251
	typeAXFR       = 252
	typeURI        = 256
	typeCAA        = 257
	typeAVC        = 258
	typeAMTRELAY   = 260
	typeRESINFO    = 261
	typeTA         = 32768
	typeDLV        = 32769

	opcodeNotify = 4
	opcodeUpdate = 5
	opcodeDSO    = 6
)

// typeNames are the mnemonics of types below 265.
var typeNames = [...]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL",
	11: "WKS", 12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB",
	19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX",
	27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC", 33: "SRV", 34: "ATMA",
	35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL",
	43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID",
	50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY",
	58: "TALINK", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB",
	65: "HTTPS", 66: "DSYNC", 67: "HHIT", 68: "BRID", 99: "SPF", 100: "UINFO", 101: "UID",
	102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48",
	109: "EUI64", 128: "NXNAME", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB",
	254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA", 258: "AVC", 259: "DOA", 260: "AMTRELAY",
	261: "RESINFO", 262: "WALLET", 263: "CLA", 264: "IPN",
}

var opcodeNames = [16]string{
	0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO",
	3: "OPCODE3", 7: "OPCODE7", 8: "OPCODE8", 9: "OPCODE9", 10: "OPCODE10", 11: "OPCODE11",
	12: "OPCODE12", 13: "OPCODE13", 14: "OPCODE14", 15: "OPCODE15",
}

// rcodeNames are the response codes of messages; 16 is BADVERS there and BADSIG
// in TSIG records only (RFC 6895 section 2.3).
var rcodeNames = [...]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
	6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
	12: "RCODE12", 13: "RCODE13", 14: "RCODE14", 15: "RCODE15", 16: "BADVERS", 17: "BADKEY",
	18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}

// certTypeNames are the certificate types of RFC 4398 section 2.1.
var certTypeNames = map[uint16]string{
	1: "PKIX", 2: "SPKI", 3: "PGP", 4: "IPKIX", 5: "ISPKI", 6: "IPGP", 7: "ACPKIX", 8: "IACPKIX",
	253: "URI", 254: "OID",
}

// algorithmNames are the DNSSEC algorithms as master files write them.
var algorithmNames = map[uint8]string{
	1: "RSAMD5", 2: "DH", 3: "DSA", 5: "RSASHA1", 6: "DSA-NSEC3-SHA1", 7: "RSASHA1-NSEC3-SHA1",
	8: "RSASHA256", 10: "RSASHA512", 12: "ECC-GOST", 13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384",
	15: "ED25519", 16: "ED448", 252: "INDIRECT", 253: "PRIVATEDNS", 254: "PRIVATEOID",
}

// typeName returns the mnemonic of a type, "" if it has none.
func typeName(t uint16) string {
	switch {
	case int(t) < len(typeNames):
		return typeNames[t]
	case t == typeTA:
		return "TA"
	case t == typeDLV:
		return "DLV"
	default:
		return ""
	}
}

func knownType(t uint16) bool { return typeName(t) != "" }

// className returns the mnemonic of a class, "" if it has none.
func className(c uint16) string {
	switch c {
	case 1:
		return "IN"
	case 2:
		return "CS"
	case 3:
		return "CH"
	case 4:
		return "HS"
	case 254:
		return "NONE"
	case 255:
		return "ANY"
	default:
		return ""
	}
}

func knownClass(c uint16) bool { return className(c) != "" }

// typeClass returns the mnemonics of both.
func (d *decoder) typeClass(t, c uint16) (typ, class string) {
	typ = d.typeText(t)
	return typ, d.classText(c)
}

// typeText returns the mnemonic of a type, else TYPE<n> (RFC 3597 section 5).
func (d *decoder) typeText(t uint16) string {
	if n := typeName(t); n != "" {
		return n
	}
	return d.numbered("TYPE", uint64(t))
}

// classText returns the mnemonic of a class, else CLASS<n>.
func (d *decoder) classText(c uint16) string {
	if c == 1 {
		return "IN"
	}
	if n := className(c); n != "" {
		return n
	}
	return d.numbered("CLASS", uint64(c))
}

// rcodeText returns the mnemonic of a response code, else RCODE<n>.
func (d *decoder) rcodeText(r int) string {
	if r < len(rcodeNames) {
		return rcodeNames[r]
	}
	return d.numbered("RCODE", uint64(r))
}

func (d *decoder) numbered(prefix string, n uint64) string {
	start := len(d.text)
	d.text = strconv.AppendUint(append(d.text, prefix...), n, 10)
	return d.since(start)
}
