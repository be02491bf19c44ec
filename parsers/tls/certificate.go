package tls

import (
	"crypto/sha1"
	"crypto/sha256"
	"time"

	"flowscope/session"
)

// certificateScratch is memory for one certificate of a chain.
type certificateScratch struct{ notBefore, notAfter time.Time }

// What can be wrong with a Certificate message.
const (
	problemChain       = "list of certificates does not fit"
	problemCertificate = "a certificate does not follow its format"
)

// certificates reads and emits a Certificate message (RFC 5246 section 7.4.2), the
// first of each side.
func (p *parser) certificates(side session.Side, b []byte, first session.Timestamp, out *session.Output) {
	s := &p.sides[side]
	if s.chain || is13(p.version) || !p.known {
		return
	}
	p.scratch.startChain()
	list, _, ok := vector24(b)
	problem := ""
	if !ok {
		problem = problemChain
	}
	for ok && len(list) > 0 {
		var der []byte
		if der, list, ok = vector24(list); !ok {
			problem = problemChain
		} else if !p.scratch.addCertificate(der, p.config.MaxCertificates) {
			problem = problemCertificate
		}
	}
	s.chain = len(p.scratch.chain.Certificates) > 0 || p.scratch.chain.Left > 0
	p.emitChain(side, first, problem, out)
}

func (p *parser) emitChain(side session.Side, first session.Timestamp, problem string, out *session.Output) {
	out.EmitWith(session.Emission{
		Message: &p.scratch.chain, Side: side, Start: p.start(first, out), Truncated: p.report(problem, out),
	})
}

func vector24(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 3 {
		return nil, nil, false
	}
	n := 3 + int(b[0])<<16 + int(b[1])<<8 + int(b[2])
	if n > len(b) {
		return nil, nil, false
	}
	return b[3:n:n], b[n:], true
}

// startChain empties the message for certificates.
func (s *scratch) startChain() {
	s.text.reset()
	s.chain.Certificates, s.chain.Left = s.chain.Certificates[:0], 0
}

// addCertificate reads one more certificate, or counts it if there are enough.
// It says whether the certificate could be read.
func (s *scratch) addCertificate(der []byte, most int) (ok bool) {
	c := &s.chain
	n := len(c.Certificates)
	if n >= most {
		c.Left++
		return true
	}
	if n < cap(c.Certificates) {
		c.Certificates = c.Certificates[:n+1]
	} else {
		c.Certificates = append(c.Certificates, Certificate{})
	}
	if n == len(s.certificate) {
		s.certificate = append(s.certificate, new(certificateScratch))
	}
	m := &c.Certificates[n]
	*m = Certificate{DNSNames: m.DNSNames[:0], IPs: m.IPs[:0], Emails: m.Emails[:0], URIs: m.URIs[:0], Size: len(der)}
	ok = s.text.certificate(der, m, s.certificate[n])
	one, two := sha1.Sum(der), sha256.Sum256(der)
	m.SHA1, m.SHA256 = s.text.hex(one[:]), s.text.hex(two[:])
	return ok
}
