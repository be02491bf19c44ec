package dns

import (
	"encoding/hex"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
	"github.com/vmihailenco/msgpack/v5"
)

// ianaNames are mnemonics of the IANA registry that miekg/dns does not have, and
// the two that it has for numbers without one.
var ianaNames = map[string]string{
	"None": "TYPE0", "Reserved": "TYPE65535", "TYPE11": "WKS", "TYPE22": "NSAP", "TYPE38": "A6",
	"TYPE40": "SINK", "TYPE66": "DSYNC", "TYPE67": "HHIT", "TYPE68": "BRID", "TYPE128": "NXNAME",
	"TYPE259": "DOA", "TYPE262": "WALLET", "TYPE263": "CLA", "TYPE264": "IPN",
}

func oracleType(t uint16) string {
	s := mdns.Type(t).String()
	if n, ok := ianaNames[s]; ok {
		return n
	}
	return s
}

// oracleClass does not use Class.String, which avoids ANY because it is a type
// as well.
func oracleClass(c uint16) string {
	if s, ok := mdns.ClassToString[c]; ok {
		return s
	}
	return mdns.Class(c).String()
}

func oracleName(s string) string {
	if s == "." || s == "" {
		return "."
	}
	return strings.TrimSuffix(s, ".")
}

// oracleMessage is what miekg/dns makes of a message, in our terms.
func oracleMessage(m *mdns.Msg, size int, multicast bool) Message {
	out := Message{
		ID: m.Id, Opcode: mdns.OpcodeToString[m.Opcode], Rcode: mdns.RcodeToString[m.Rcode],
		AA: m.Authoritative, TC: m.Truncated, RD: m.RecursionDesired, RA: m.RecursionAvailable,
		Z: m.Zero, AD: m.AuthenticatedData, CD: m.CheckingDisabled, Size: size,
	}
	switch {
	case m.Opcode == mdns.OpcodeStateful:
		out.Opcode = "DSO"
	case out.Opcode == "":
		out.Opcode = "OPCODE" + strconv.Itoa(m.Opcode)
	}
	if m.Rcode == 0 && !m.Response {
		out.Rcode = ""
	} else if m.Rcode == 16 {
		out.Rcode = "BADVERS"
	} else if out.Rcode == "" {
		out.Rcode = "RCODE" + strconv.Itoa(m.Rcode)
	}
	for _, q := range m.Question {
		e := Question{Name: oracleName(q.Name), Type: oracleType(q.Qtype)}
		if multicast {
			e.UnicastResponse = q.Qclass&0x8000 != 0
			q.Qclass &= 0x7fff
		}
		e.Class = oracleClass(q.Qclass)
		out.Questions = append(out.Questions, e)
	}
	out.Answers = oracleRecords(m.Answer, multicast)
	out.Authorities = oracleRecords(m.Ns, multicast)
	out.Additionals = oracleRecords(m.Extra, multicast)
	return out
}

func oracleRecords(list []mdns.RR, multicast bool) []Record {
	var out []Record
	for _, rr := range list {
		h := *rr.Header()
		if h.Rrtype == mdns.TypeOPT {
			continue
		}
		r := Record{Name: oracleName(h.Name), Type: oracleType(h.Rrtype), TTL: h.Ttl, Data: oracleData(rr)}
		if multicast {
			r.CacheFlush = h.Class&0x8000 != 0
			h.Class &= 0x7fff
		}
		r.Class = oracleClass(h.Class)
		out = append(out, r)
	}
	return out
}

// oracleData is the record's data as miekg/dns prints it, without the final dots
// of its names.
func oracleData(rr mdns.RR) string {
	h := rr.Header()
	if h.Rdlength == 0 {
		return ""
	}
	switch x := rr.(type) {
	case *mdns.NULL:
		// It prints the raw octets; there is no presentation format.
		return `\# ` + strconv.Itoa(len(x.Data)) + " " + hex.EncodeToString([]byte(x.Data))
	case *mdns.RFC3597:
		return `\# ` + strconv.Itoa(len(x.Rdata)/2) + " " + x.Rdata
	}
	undot(reflect.ValueOf(rr).Elem())
	_, s, _ := strings.Cut(rr.String(), h.String())
	switch x := rr.(type) {
	case *mdns.X25: // without quotes, so that spaces count
		return s
	case *mdns.GPOS:
		if x.Altitude == "" {
			return strings.TrimSuffix(s, " ")
		}
		return s
	case *mdns.TKEY, *mdns.TSIG:
		s = strings.TrimPrefix(s, " ")
	}
	for strings.HasSuffix(s, " ") && !strings.HasSuffix(s, `\ `) { // after an empty last field
		s = s[:len(s)-1]
	}
	switch rr.(type) {
	case *mdns.SMIMEA: // it breaks long data into pieces
		f := strings.Fields(s)
		s = strings.Join(append(f[:3:3], strings.Join(f[3:], "")), " ")
	case *mdns.CERT: // RFC 4398 section 2.1 has IPKIX
		s = strings.Replace(s, "IPIX ", "IPKIX ", 1)
	case *mdns.NSEC, *mdns.NSEC3, *mdns.NXT, *mdns.CSYNC, *mdns.RRSIG, *mdns.SIG:
		f := strings.Split(s, " ")
		for i := range f {
			if n, ok := ianaNames[f[i]]; ok {
				f[i] = n
			}
		}
		s = strings.Join(f, " ")
	}
	return s
}

// undot strips the final dot of every field that is tagged as a name.
func undot(v reflect.Value) {
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag.Get("dns")
		switch {
		case f.Type() == reflect.TypeFor[mdns.RR_Header]():
		case f.Kind() == reflect.Struct:
			undot(f)
		case f.Kind() == reflect.String && (strings.HasSuffix(tag, "domain-name") || strings.HasSuffix(tag, "host")):
			if s := f.String(); s != "" {
				f.SetString(oracleName(s))
			}
		case f.Kind() == reflect.Slice && tag == "domain-name":
			for j := range f.Len() {
				f.Index(j).SetString(oracleName(f.Index(j).String()))
			}
		}
	}
}

// decodeOwned decodes a payload; the result owns its strings.
func decodeOwned(tb testing.TB, payload []byte, multicast bool) (m Message, problem string, ok bool) {
	tb.Helper()
	s := new(scratch)
	s.mdns = multicast
	if ok = s.decode(payload, &s.response.Message); !ok {
		return m, s.problem, false
	}
	var r Response
	if err := msgpack.Unmarshal(s.response.AppendMsgpack(nil), &r); err != nil {
		tb.Fatal(err)
	}
	return r.Message, s.problem, true
}

// diffOracle compares ours with the oracle's reading; EDNS is tested elsewhere.
func diffOracle(got, want Message) string {
	got.EDNS = nil
	return cmp.Diff(want, got)
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
