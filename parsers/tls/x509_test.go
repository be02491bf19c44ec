package tls

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
)

// decodeCertificate reads one certificate.
func decodeCertificate(der []byte) (m *Certificate, ok bool) {
	s := new(scratch)
	s.startChain()
	ok = s.addCertificate(der, 1)
	return &s.chain.Certificates[0], ok
}

func compareChain(t *testing.T, got *CertificateMessage, want []*x509.Certificate) {
	t.Helper()
	if got == nil || len(got.Certificates) != len(want) {
		t.Errorf("chain %+v, want %d certificates", got, len(want))
		return
	}
	for i := range want {
		compareCertificate(t, &got.Certificates[i], want[i])
	}
}

// compareCertificate compares with the standard library's reading.
func compareCertificate(t *testing.T, got *Certificate, want *x509.Certificate) {
	t.Helper()
	serial := want.SerialNumber.Text(16)
	if len(serial)%2 == 1 {
		serial = "0" + serial
	}
	one, two := sha1.Sum(want.Raw), sha256.Sum256(want.Raw)
	var ips, uris []string
	for _, ip := range want.IPAddresses {
		ips = append(ips, ip.String())
	}
	for _, u := range want.URIs {
		uris = append(uris, u.String())
	}
	kind, size, curve := keyOf(want)
	w := Certificate{
		Subject: got.Subject, Issuer: got.Issuer, SignatureAlgorithm: got.SignatureAlgorithm, // compared elsewhere
		Serial: serial, NotBefore: got.NotBefore, NotAfter: got.NotAfter, DNSNames: want.DNSNames, IPs: ips, Emails: want.EmailAddresses, URIs: uris,
		KeyType: kind, KeySize: size, KeyCurve: curve, CA: want.IsCA, Size: len(want.Raw),
		SHA1: hex.EncodeToString(one[:]), SHA256: hex.EncodeToString(two[:]),
	}
	if kind == "" { // what the library does not know
		w.KeyType, w.KeySize, w.KeyCurve = got.KeyType, got.KeySize, got.KeyCurve
	}
	g := *got
	for _, list := range []*[]string{&g.DNSNames, &g.IPs, &g.Emails, &g.URIs} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("%s (-library +ours):\n%s", want.Subject, diff)
	}
	if got.NotBefore == nil || !got.NotBefore.Equal(want.NotBefore) || got.NotAfter == nil || !got.NotAfter.Equal(want.NotAfter) {
		t.Errorf("valid from %v to %v, the library says %v and %v", got.NotBefore, got.NotAfter, want.NotBefore, want.NotAfter)
	}
	for _, name := range []struct{ got, want string }{{got.Subject, libraryName(want.Subject)}, {got.Issuer, libraryName(want.Issuer)}} {
		if !strings.EqualFold(name.got, name.want) {
			t.Errorf("name %q, the library's %q", name.got, name.want)
		}
	}
}

// libraryName is a name as the library reads it, in our words: its own text has
// digits for attributes that only OpenSSL has a word for.
func libraryName(name pkix.Name) string {
	var parts []string
	for _, attribute := range name.Names {
		id := attribute.Type.String()
		word := attributeWords[id]
		if word == "" {
			word = id
		}
		value := fmt.Sprint(attribute.Value)
		escaped := strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`, `"`, `\"`, "<", `\<`, ">", `\>`, ";", `\;`).Replace(value)
		if strings.HasPrefix(value, "#") {
			escaped = `\` + escaped
		}
		if strings.HasSuffix(value, " ") {
			escaped = strings.TrimSuffix(escaped, " ") + `\ `
		}
		parts = append([]string{word + "=" + escaped}, parts...)
	}
	return strings.Join(parts, ",")
}

var attributeWords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O",
	"2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description", "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode",
	"2.5.4.18": "postOfficeBox", "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "DC",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

func keyOf(c *x509.Certificate) (kind string, size int, curve string) {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "rsa", k.N.BitLen(), ""
	case *ecdsa.PublicKey:
		p := k.Curve.Params()
		return "ecdsa", p.BitSize, map[string]string{"P-224": "secp224r1", "P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}[p.Name]
	case ed25519.PublicKey:
		return "ed25519", 256, ""
	}
	return "", 0, ""
}

// TestCertificates compares certificates of all kinds of keys.
func TestCertificates(t *testing.T) {
	for name, key := range testKeys(t) {
		t.Run(name, func(t *testing.T) {
			der := newCertificate(t, key).Certificate[0]
			want, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := decodeCertificate(der)
			if !ok {
				t.Error("something is wrong")
			}
			compareCertificate(t, got, want)
			const subject = `serialNumber=7,CN=\#host.example.test\ ,O=Émile\, Sons & \"Co\",ST=Île-de-France,C=FR`
			if !strings.HasSuffix(got.Subject, subject) || got.Subject != got.Issuer {
				t.Errorf("subject %q, want %q", got.Subject, subject)
			}
			if want := strings.ReplaceAll(want.SignatureAlgorithm.String(), "-", ""); !strings.Contains(signatureWords[got.SignatureAlgorithm], want) {
				t.Errorf("signature algorithm %q, the library says %s", got.SignatureAlgorithm, want)
			}
		})
	}
}

var signatureWords = map[string]string{
	"sha256WithRSAEncryption": "SHA256RSA", "ecdsa-with-SHA256": "ECDSASHA256", "ecdsa-with-SHA384": "ECDSASHA384",
	"ecdsa-with-SHA512": "ECDSASHA512", "ED25519": "Ed25519",
}

// TestCorpusCertificates compares each certificate of the captures.
func TestCorpusCertificates(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	seen := map[string]bool{}
	refused := 0
	for _, file := range append(sessiontest.Captures(t, folder), ownCapture) {
		name, _ := filepath.Rel(folder, file)
		for _, s := range streams(t, file) {
			for _, der := range certificatesOf(s) {
				if seen[string(der)] {
					continue
				}
				seen[string(der)] = true
				got, ok := decodeCertificate(der)
				want, err := x509.ParseCertificate(der)
				if err != nil {
					refused++
					t.Logf("%s %s: the library says %v, ours reads it: %v", name, s.Name, err, ok)
					continue
				}
				if !ok {
					t.Errorf("%s %s: not readable, the library reads %s", name, s.Name, want.Subject)
				}
				compareCertificate(t, got, want)
			}
		}
	}
	t.Logf("%d certificates, %d refused by the library", len(seen), refused)
	if len(seen) < 60 {
		t.Errorf("only %d certificates", len(seen))
	}
}

// certificatesOf takes the certificates out of a stream by other means: it joins
// the handshake records of a side and looks for Certificate messages.
func certificatesOf(s sessiontest.Stream) (list [][]byte) {
	var sides [2][]byte
	for _, segment := range s.Segments {
		if segment.Gap != 0 {
			break
		}
		sides[segment.Side] = append(sides[segment.Side], segment.Data...)
	}
	for _, b := range sides {
		var messages []byte
		for len(b) >= 5 && b[0] == 22 {
			n := 5 + int(b[3])<<8 + int(b[4])
			if n > len(b) {
				break
			}
			messages = append(messages, b[5:n]...)
			b = b[n:]
		}
		for len(messages) >= 4 {
			n := 4 + int(messages[1])<<16 + int(messages[2])<<8 + int(messages[3])
			if n > len(messages) {
				break
			}
			if body := messages[4:n]; messages[0] == 11 && len(body) > 3 {
				for body = body[3:]; len(body) >= 3; {
					size := int(body[0])<<16 + int(body[1])<<8 + int(body[2])
					if 3+size > len(body) {
						break
					}
					list = append(list, body[3:3+size])
					body = body[3+size:]
				}
			}
			messages = messages[n:]
		}
	}
	return list
}

func TestSerials(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "00": "00", "01": "01", "00ff": "ff", "7f": "7f", "ff": "-01", "80": "-80", "ff7f": "-81", "000000": "00",
	} {
		var s text
		if got := s.serial(unhex(t, in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestTimesOfCertificates(t *testing.T) {
	for _, tt := range []struct {
		tag      byte
		in, want string
	}{
		{tagUTCTime, "491231235959Z", "2049-12-31T23:59:59Z"},
		{tagUTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{tagUTCTime, "9601011200Z", "1996-01-01T12:00:00Z"},
		{tagUTCTime, "960101120000+0130", "1996-01-01T10:30:00Z"},
		{tagUTCTime, "960101120000-0800", "1996-01-01T20:00:00Z"},
		{tagGeneralizedTime, "20500101000000Z", "2050-01-01T00:00:00Z"},
		{tagGeneralizedTime, "99991231235959Z", "9999-12-31T23:59:59Z"},
		{tagUTCTime, "961301000000Z", ""},
		{tagUTCTime, "96010100000", ""},
		{tagUTCTime, "9601010000000", ""},
		{tagUTCTime, "", ""},
		{tagUTCTime, "96-1010000Z", ""},
		{tagOctetString, "960101120000Z", ""},
	} {
		d := der{b: append([]byte{tt.tag, byte(len(tt.in))}, tt.in...)}
		at, ok := d.time()
		got := ""
		if ok {
			got = at.UTC().Format("2006-01-02T15:04:05Z")
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestDamagedCertificates cuts a certificate everywhere and flips each octet.
func TestDamagedCertificates(t *testing.T) {
	der := newCertificate(t, testKeys(t)["p256"]).Certificate[0]
	for i := range der {
		if _, ok := decodeCertificate(der[:i:i]); ok {
			t.Errorf("%d octets of %d are taken for a certificate", i, len(der))
		}
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := append([]byte(nil), der...)
			bad[i] ^= flip
			_, _ = decodeCertificate(bad)
		}
	}
}
