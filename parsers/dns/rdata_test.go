package dns

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

// TestDataAgainstOracle builds random records of every type that miekg/dns
// knows, and compares what it reads from the wire with what we read.
func TestDataAgainstOracle(t *testing.T) {
	types := make([]uint16, 0, len(mdns.TypeToRR))
	for typ := range mdns.TypeToRR {
		if typ != mdns.TypeOPT && typ != mdns.TypeANY && typ != mdns.TypeNXNAME {
			types = append(types, typ)
		}
	}
	slices.Sort(types)
	for _, typ := range types {
		t.Run(mdns.TypeToString[typ], func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(typ), 7))
			for range 100 {
				rr := randomRR(rnd, typ)
				m := new(mdns.Msg)
				m.SetQuestion("Example.COM.", typ)
				m.Response, m.Compress = true, rnd.IntN(2) == 0
				m.Answer = []mdns.RR{rr}
				wire, err := m.Pack()
				if err != nil {
					t.Fatalf("pack %v: %v", rr, err)
				}
				var o mdns.Msg
				if err := o.Unpack(wire); err != nil {
					t.Fatalf("the oracle cannot read its own %v: %v", rr, err)
				}
				got, problem, _ := decodeOwned(t, wire, false)
				if problem != "" {
					t.Fatalf("%v: %s", rr, problem)
				}
				if diff := diffOracle(got, oracleMessage(&o, len(wire), false)); diff != "" {
					t.Fatalf("(-oracle +ours)\n%s", diff)
				}
			}
		})
	}
}

func randomRR(rnd *rand.Rand, typ uint16) mdns.RR {
	rr := mdns.TypeToRR[typ]()
	fill(rnd, reflect.ValueOf(rr).Elem())
	*rr.Header() = mdns.RR_Header{Name: randomName(rnd), Rrtype: typ, Class: mdns.ClassINET, Ttl: rnd.Uint32()}
	switch x := rr.(type) {
	case *mdns.IPSECKEY:
		x.GatewayType = uint8(rnd.IntN(4))
		x.GatewayAddr, x.GatewayHost = randomGateway(rnd, x.GatewayType)
	case *mdns.AMTRELAY:
		x.GatewayType = uint8(rnd.IntN(4))
		x.GatewayAddr, x.GatewayHost = randomGateway(rnd, x.GatewayType)
	case *mdns.LOC:
		x.Version = 0
	case *mdns.APL:
		x.Prefixes = randomPrefixes(rnd)
	case *mdns.SVCB:
		x.Value = randomParams(rnd)
	case *mdns.HTTPS:
		x.Value = randomParams(rnd)
	case *mdns.NULL:
		x.Data = string(randomBytes(rnd, 1, 40))
	}
	return rr
}

func fill(rnd *rand.Rand, v reflect.Value) {
	for i := range v.NumField() {
		f, field := v.Field(i), v.Type().Field(i)
		tag := field.Tag.Get("dns")
		kind, size, _ := strings.Cut(tag, ":")
		switch {
		case f.Kind() == reflect.Struct:
			fill(rnd, f)
		case tag == "uint48":
			f.SetUint(rnd.Uint64() >> 16)
		case f.CanUint():
			f.SetUint(rnd.Uint64() >> (64 - f.Type().Bits()))
		case strings.HasSuffix(kind, "domain-name") && f.Kind() == reflect.String:
			f.SetString(randomName(rnd))
		case kind == "domain-name":
			f.Set(reflect.ValueOf([]string{randomName(rnd), randomName(rnd)}))
		case kind == "" && f.Kind() == reflect.String:
			f.SetString(randomText(rnd, 0, 255, true))
		case kind == "octet":
			f.SetString(randomText(rnd, 1, 200, false))
		case kind == "txt":
			var list []string
			for range 1 + rnd.IntN(3) {
				list = append(list, randomText(rnd, 0, 255, true))
			}
			f.Set(reflect.ValueOf(list))
		case kind == "a":
			f.SetBytes(net.IPv4(byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())))
		case kind == "aaaa":
			f.SetBytes(randomIPv6(rnd))
		case kind == "nsec":
			f.Set(reflect.ValueOf(randomTypes(rnd)))
		case strings.HasSuffix(kind, "hex"), strings.HasSuffix(kind, "base64"), strings.HasSuffix(kind, "base32"):
			b := randomBytes(rnd, 1, 200)
			f.SetString(encodings[kind](b))
			if size != "" {
				v.FieldByName(size).SetUint(uint64(len(b)))
			}
		}
	}
}

var encodings = map[string]func([]byte) string{
	"hex": hex.EncodeToString, "size-hex": hex.EncodeToString,
	"base64": base64.StdEncoding.EncodeToString, "size-base64": base64.StdEncoding.EncodeToString,
	"size-base32": base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString,
}

func randomBytes(rnd *rand.Rand, low, high int) []byte {
	b := make([]byte, low+rnd.IntN(high-low+1))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// randomText is any octets as \DDD. Backslashes are left out where miekg/dns
// takes those on the wire for escapes.
func randomText(rnd *rand.Rand, low, high int, backslash bool) string {
	var s strings.Builder
	for _, c := range randomBytes(rnd, low, high) {
		if c == '\\' && !backslash {
			c = 'x'
		}
		fmt.Fprintf(&s, `\%03d`, c)
	}
	return s.String()
}

func randomName(rnd *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	var s strings.Builder
	for range rnd.IntN(4) {
		for range 1 + rnd.IntN(12) {
			if rnd.IntN(8) == 0 {
				fmt.Fprintf(&s, `\%03d`, byte(rnd.Uint32()))
			} else {
				s.WriteByte(letters[rnd.IntN(len(letters))])
			}
		}
		s.WriteByte('.')
	}
	if rnd.IntN(3) > 0 {
		s.WriteString("example.com.")
	}
	if s.Len() == 0 {
		return "."
	}
	return s.String()
}

func randomIPv6(rnd *rand.Rand) net.IP {
	ip := net.IP(randomBytes(rnd, 16, 16))
	for i := range ip {
		if rnd.IntN(2) == 0 {
			ip[i] = 0
		}
	}
	if ip.To4() != nil {
		ip[0] = 0x20
	}
	return ip
}

func randomTypes(rnd *rand.Rand) []uint16 {
	list := []uint16{1, uint16(rnd.Uint32())}
	for range rnd.IntN(30) {
		list = append(list, uint16(rnd.IntN(300)))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func randomGateway(rnd *rand.Rand, kind uint8) (net.IP, string) {
	switch kind {
	case 1:
		return net.IP(randomBytes(rnd, 4, 4)), ""
	case 2:
		return randomIPv6(rnd), ""
	case 3:
		return nil, randomName(rnd)
	default:
		return nil, ""
	}
}

func randomPrefixes(rnd *rand.Rand) []mdns.APLPrefix {
	var list []mdns.APLPrefix
	for range 1 + rnd.IntN(4) {
		ip := net.IP(randomBytes(rnd, 4, 4))
		if rnd.IntN(2) == 0 {
			ip = randomIPv6(rnd)
		}
		mask := net.CIDRMask(rnd.IntN(8*len(ip)+1), 8*len(ip))
		list = append(list, mdns.APLPrefix{Negation: rnd.IntN(2) == 0, Network: net.IPNet{IP: ip.Mask(mask), Mask: mask}})
	}
	return list
}

func randomParams(rnd *rand.Rand) []mdns.SVCBKeyValue {
	all := []mdns.SVCBKeyValue{
		&mdns.SVCBMandatory{Code: []mdns.SVCBKey{mdns.SVCB_ALPN, mdns.SVCBKey(10 + rnd.IntN(60000))}},
		&mdns.SVCBAlpn{Alpn: []string{"h2", string(randomBytes(rnd, 1, 30))}},
		&mdns.SVCBNoDefaultAlpn{},
		&mdns.SVCBPort{Port: uint16(rnd.Uint32())},
		&mdns.SVCBIPv4Hint{Hint: []net.IP{randomBytes(rnd, 4, 4), randomBytes(rnd, 4, 4)}},
		&mdns.SVCBECHConfig{ECH: randomBytes(rnd, 0, 60)},
		&mdns.SVCBIPv6Hint{Hint: []net.IP{randomIPv6(rnd), randomIPv6(rnd)}},
		&mdns.SVCBDoHPath{Template: "/dns-query{?dns}"},
		&mdns.SVCBOhttp{},
		&mdns.SVCBLocal{KeyCode: mdns.SVCBKey(9 + rnd.IntN(60000)), Data: randomBytes(rnd, 0, 40)},
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:rnd.IntN(len(all)+1)]
}

// TestDataVectors has published examples, on the wire and in text.
func TestDataVectors(t *testing.T) {
	tests := []struct {
		name string
		typ  uint16
		wire string
		want string
	}{
		// RFC 9460 appendix D.
		{"RFC 9460 figure 2", 65, "0000 03666f6f 076578616d706c65 03636f6d 00", "0 foo.example.com"},
		{"RFC 9460 figure 3", 64, "0001 00", "1 ."},
		{"RFC 9460 figure 4", 64, "0010 03666f6f 076578616d706c65 03636f6d 00 0003 0002 0035", `16 foo.example.com port="53"`},
		{"RFC 9460 figure 5", 64, "0001 03666f6f 076578616d706c65 03636f6d 00 029b 0005 68656c6c6f", `1 foo.example.com key667="hello"`},
		{"RFC 9460 figure 6", 64, "0001 03666f6f 076578616d706c65 03636f6d 00 029b 0009 68656c6c6fd2716f6f", `1 foo.example.com key667="hello\210qoo"`},
		{
			"RFC 9460 figure 7", 64, "0001 03666f6f 076578616d706c65 03636f6d 00 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001",
			`1 foo.example.com ipv6hint="2001:db8::1,2001:db8::53:1"`,
		},
		{
			"RFC 9460 figure 9", 64, "0010 03666f6f 076578616d706c65 036f7267 00 0000 0004 0001 0004 0001 0009 02 6832 05 68332d3139 0004 0004 c0000201",
			`16 foo.example.org mandatory="alpn,ipv4hint" alpn="h2,h3-19" ipv4hint="192.0.2.1"`,
		},
		{"RFC 9460 figure 10", 64, "0010 03666f6f 076578616d706c65 036f7267 00 0001 000c 08 665c6f6f2c626172 02 6832", `16 foo.example.org alpn="f\\\092oo\\\044bar,h2"`},
		// RFC 8777 section 4.3.1: the discovery bit is not part of the type.
		{"RFC 8777 with discovery", 260, "0a 81 cb007105", "10 1 1 203.0.113.5"},
		{"RFC 8777 without relay", 260, "80 00", "128 0 0 ."},
		// RFC 1876 section 4: cambridge-net.kei.com.
		{"RFC 1876", 29, "00 12 16 13 89 17 2d d0 70 be 15 f0 00 98 8d 20", "42 21 54.000 N 71 06 18.000 W -24m 1m 10000m 10m"},
		// RFC 4034 section 5.4.
		{
			"RFC 4034 DS", 43, "ec45 05 01 2bb183af5f22588179a53b0a98631fad1a292118",
			"60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
		},
		// RFC 4034 section 4.3.
		{
			"RFC 4034 NSEC", 47, "04686f7374076578616d706c6503636f6d00 0006400100000003 041b" + strings.Repeat("00", 26) + "20",
			"host.example.com A MX RRSIG NSEC TYPE1234",
		},
		{"empty bitmap", 47, "00", "."},
		{"RFC 1183 ISDN without subaddress", 20, "0f 313530383632303238303033323137", `"150862028003217"`},
		{"octets that look like escapes", 256, "000a 0001 5c2e22", `10 1 "\\.\""`},
		{"AAAA mapped", 28, "00000000000000000000ffff01020304", "::ffff:1.2.3.4"},
		{"RFC 3597", 731, "abcdef01 2345", `\# 6 abcdef012345`},
		{"no presentation format", 10, "00ff", `\# 2 00ff`},
		{"ATMA has none here", 34, "0102", `\# 2 0102`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, problem := oneRecord(t, tt.typ, unhex(t, tt.wire))
			if problem != "" || r.Data != tt.want {
				t.Errorf("got %s, problem %q\nwant %s", r.Data, problem, tt.want)
			}
		})
	}
}

// TestMalformedData wants the generic form and the anomaly for data that does
// not match its type.
func TestMalformedData(t *testing.T) {
	tests := []struct {
		name string
		typ  uint16
		wire string
	}{
		{"A of three octets", 1, "010203"},
		{"A of five octets", 1, "0102030405"},
		{"AAAA of four octets", 28, "01020304"},
		{"MX without name", 15, "000a"},
		{"NS with octets after the name", 2, "016100ff"},
		{"CNAME that ends early", 5, "0561"},
		{"CNAME that runs past its end", 5, "0361"},
		{"SOA with a short tail", 6, "0000 00000001 00000002"},
		{"TXT that runs past its end", 16, "0561"},
		{"LOC of another version", 29, "01121613891705d070be15f000988d20"},
		{"NSEC with windows out of order", 47, "00 010140 000140"},
		{"NSEC with an empty window", 47, "00 0000"},
		{"NSEC with a window too long", 47, "00 0021" + strings.Repeat("01", 33)},
		{"SVCB with keys out of order", 64, "0001 00 0003 0002 0035 0001 0003 026832"},
		{"SVCB with a port of three octets", 64, "0001 00 0003 0003 003500"},
		{"SVCB with no hint", 64, "0001 00 0004 0000"},
		{"APL with zeros at its end", 42, "0001 18 02 c000"},
		{"APL of an unknown family", 42, "0003 18 01 c0"},
		{"IPSECKEY with an unknown gateway", 45, "0a 04 02 01"},
		{"HIP with lengths past the end", 55, "ff 02 0001 01"},
		{"NSEC3 with a hash past the end", 50, "01 00 0001 00 20 01"},
		{"TSIG with a MAC past the end", 250, "00 000000000000 012c ffff 00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			r, problem := oneRecord(t, tt.typ, wire)
			want := fmt.Sprintf(`\# %d %x`, len(wire), wire)
			if r.Data != want {
				t.Errorf("got %s, want %s", r.Data, want)
			}
			if problem == "" {
				t.Error("no problem found")
			}
		})
	}
}

// oneRecord decodes a response with one record of the given data and, after it,
// an ordinary one, which must not suffer.
func oneRecord(t *testing.T, typ uint16, data []byte) (Record, string) {
	t.Helper()
	b := unhex(t, "1234 8180 0001 0002 0000 0000 076578616d706c6503636f6d00 0001 0001")
	b = append(b, 0xc0, 12, byte(typ>>8), byte(typ), 0, 1, 0, 0, 0, 60, byte(len(data)>>8), byte(len(data)))
	b = append(b, data...)
	b = append(b, unhex(t, "c00c 0002 0001 0000003c 0005 026e73 c00c")...)
	m, problem, ok := decodeOwned(t, b, false)
	if !ok || len(m.Answers) != 2 {
		t.Fatalf("not readable: %s, %+v", problem, m)
	}
	if got := m.Answers[1]; got.Name != "example.com" || got.Data != "ns.example.com" {
		t.Errorf("the record after it is %+v", got)
	}
	return m.Answers[0], problem
}
