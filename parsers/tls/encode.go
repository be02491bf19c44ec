package tls

import "flowscope/session/pack"

// Keys are written with their msgpack header, a fixstr of their length.
const (
	keyRecordVersion       = "\xaerecord_version"
	keyVersion             = "\xa7version"
	keySessionID           = "\xaasession_id"
	keySNI                 = "\xa3sni"
	keyALPN                = "\xa4alpn"
	keyCipherSuites        = "\xadcipher_suites"
	keyExtensions          = "\xaaextensions"
	keySupportedGroups     = "\xb0supported_groups"
	keyECPointFormats      = "\xb0ec_point_formats"
	keySignatureAlgorithms = "\xb4signature_algorithms"
	keyKeyShareGroups      = "\xb0key_share_groups"
	keySupportedVersions   = "\xb2supported_versions"
	keyECH                 = "\xa3ech"
	keySessionTicket       = "\xaesession_ticket"
	keyPSK                 = "\xa3psk"
	keyEarlyData           = "\xaaearly_data"
	keyRetried             = "\xa7retried"
	keyJA3                 = "\xa3ja3"
	keyJA4                 = "\xa3ja4"
	keyJA3S                = "\xa4ja3s"
	keyCipherSuite         = "\xaccipher_suite"
	keyKeyShareGroup       = "\xafkey_share_group"
	keySessionResumed      = "\xafsession_resumed"
	keyCertificates        = "\xaccertificates"
	keyLeft                = "\xa4left"
	keyLevel               = "\xa5level"
	keyDescription         = "\xabdescription"
	keyEncrypted           = "\xa9encrypted"
	keyOutcome             = "\xa7outcome"
	keyAlert               = "\xa5alert"
	keyAlertSide           = "\xaaalert_side"
	keyClientCertificate   = "\xb2client_certificate"
	keyElapsed             = "\xaaelapsed_ns"
	keySubject             = "\xa7subject"
	keyIssuer              = "\xa6issuer"
	keySerial              = "\xa6serial"
	keyNotBefore           = "\xaanot_before"
	keyNotAfter            = "\xa9not_after"
	keyDNSNames            = "\xa7san_dns"
	keyIPs                 = "\xa6san_ip"
	keyEmails              = "\xa9san_email"
	keyURIs                = "\xa7san_uri"
	keyKeyType             = "\xa8key_type"
	keyKeySize             = "\xa8key_size"
	keyKeyCurve            = "\xa9key_curve"
	keySignatureAlgorithm  = "\xb3signature_algorithm"
	keyCA                  = "\xa2ca"
	keySize                = "\xa4size"
	keySHA1                = "\xa4sha1"
	keySHA256              = "\xa6sha256"
)

// object writes a map whose number of pairs is known at its end.
type object struct {
	b     []byte
	start int
	n     int
}

// open reserves a header of three octets.
func open(b []byte) object { return object{b: append(b, 0xde, 0, 0), start: len(b)} }

func (o *object) end() []byte {
	o.b[o.start+1], o.b[o.start+2] = byte(o.n>>8), byte(o.n)
	return o.b
}

func (o *object) key(k string) {
	o.n++
	o.b = append(o.b, k...)
}

// word adds text of our own, unless it is empty.
func (o *object) word(k, v string) {
	if v != "" {
		o.key(k)
		o.b = pack.String(o.b, v)
	}
}

// always adds text of our own.
func (o *object) always(k, v string) {
	o.key(k)
	o.b = pack.String(o.b, v)
}

// wire adds text from the wire, unless it is empty.
func (o *object) wire(k, v string) {
	if v != "" {
		o.key(k)
		o.b = pack.TextString(o.b, v)
	}
}

// flag adds a boolean if it is true.
func (o *object) flag(k string, v bool) {
	if v {
		o.key(k)
		o.b = append(o.b, 0xc3)
	}
}

func (o *object) bool(k string, v bool) {
	o.key(k)
	o.b = pack.Bool(o.b, v)
}

// number adds a number, unless it is 0.
func (o *object) number(k string, v int) {
	if v != 0 {
		o.key(k)
		o.b = pack.Int(o.b, int64(v))
	}
}

// words adds a list of texts, unless it is empty.
func (o *object) words(k string, list []string) {
	if len(list) == 0 {
		return
	}
	o.key(k)
	o.b = pack.ArrayHeader(o.b, len(list))
	for _, v := range list {
		o.b = pack.TextString(o.b, v)
	}
}

// numbers adds a list of numbers, unless it is empty.
func numbers[N uint16 | uint32](o *object, k string, list []N) {
	if len(list) == 0 {
		return
	}
	o.key(k)
	b := pack.ArrayHeader(o.b, len(list))
	for _, v := range list {
		switch {
		case v < 0x80:
			b = append(b, byte(v))
		case v < 0x100:
			b = append(b, 0xcc, byte(v))
		case uint32(v) < 0x10000:
			b = append(b, 0xcd, byte(v>>8), byte(v))
		default:
			b = pack.Uint(b, uint64(v))
		}
	}
	o.b = b
}

// AppendMsgpack implements session.Message.
func (m *ClientHello) AppendMsgpack(b []byte) []byte {
	o := open(b)
	o.always(keyRecordVersion, m.RecordVersion)
	o.always(keyVersion, m.Version)
	o.word(keySessionID, m.SessionID)
	o.wire(keySNI, m.SNI)
	o.words(keyALPN, m.ALPN)
	numbers(&o, keyCipherSuites, m.CipherSuites)
	numbers(&o, keyExtensions, m.Extensions)
	numbers(&o, keySupportedGroups, m.SupportedGroups)
	numbers(&o, keyECPointFormats, m.ECPointFormats)
	numbers(&o, keySignatureAlgorithms, m.SignatureAlgorithms)
	numbers(&o, keyKeyShareGroups, m.KeyShareGroups)
	o.words(keySupportedVersions, m.SupportedVersions)
	o.flag(keyECH, m.ECH)
	o.flag(keySessionTicket, m.SessionTicket)
	o.flag(keyPSK, m.PSK)
	o.flag(keyEarlyData, m.EarlyData)
	o.flag(keyRetried, m.Retried)
	o.word(keyJA3, m.JA3)
	o.wire(keyJA4, m.JA4)
	return o.end()
}

// AppendMsgpack implements session.Message.
func (m *ServerHello) AppendMsgpack(b []byte) []byte {
	o := open(b)
	m.append(&o)
	o.bool(keySessionResumed, m.SessionResumed)
	return o.end()
}

// AppendMsgpack implements session.Message.
func (m *HelloRetryRequest) AppendMsgpack(b []byte) []byte {
	o := open(b)
	m.append(&o)
	return o.end()
}

func (m *Answer) append(o *object) {
	o.always(keyRecordVersion, m.RecordVersion)
	o.always(keyVersion, m.Version)
	o.word(keySessionID, m.SessionID)
	o.word(keyCipherSuite, m.CipherSuite)
	o.wire(keyALPN, m.ALPN)
	numbers(o, keyExtensions, m.Extensions)
	o.word(keyKeyShareGroup, m.KeyShareGroup)
	o.word(keyJA3S, m.JA3S)
}

// AppendMsgpack implements session.Message.
func (m *CertificateMessage) AppendMsgpack(b []byte) []byte {
	o := open(b)
	o.key(keyCertificates)
	o.b = pack.ArrayHeader(o.b, len(m.Certificates))
	for i := range m.Certificates {
		o.b = m.Certificates[i].append(o.b)
	}
	o.number(keyLeft, m.Left)
	return o.end()
}

func (m *Certificate) append(b []byte) []byte {
	o := open(b)
	o.word(keySubject, m.Subject)
	o.word(keyIssuer, m.Issuer)
	o.word(keySerial, m.Serial)
	if m.NotBefore != nil {
		o.key(keyNotBefore)
		o.b = pack.TimeOf(o.b, *m.NotBefore)
	}
	if m.NotAfter != nil {
		o.key(keyNotAfter)
		o.b = pack.TimeOf(o.b, *m.NotAfter)
	}
	o.words(keyDNSNames, m.DNSNames)
	o.words(keyIPs, m.IPs)
	o.words(keyEmails, m.Emails)
	o.words(keyURIs, m.URIs)
	o.word(keyKeyType, m.KeyType)
	o.number(keyKeySize, m.KeySize)
	o.word(keyKeyCurve, m.KeyCurve)
	o.word(keySignatureAlgorithm, m.SignatureAlgorithm)
	o.flag(keyCA, m.CA)
	o.key(keySize)
	o.b = pack.Int(o.b, int64(m.Size))
	o.always(keySHA1, m.SHA1)
	o.always(keySHA256, m.SHA256)
	return o.end()
}

// AppendMsgpack implements session.Message.
func (m *Alert) AppendMsgpack(b []byte) []byte {
	o := open(b)
	o.word(keyLevel, m.Level)
	o.word(keyDescription, m.Description)
	o.flag(keyEncrypted, m.Encrypted)
	return o.end()
}

// AppendMsgpack implements session.Message.
func (m *Handshake) AppendMsgpack(b []byte) []byte {
	o := open(b)
	o.always(keyOutcome, m.Outcome)
	o.word(keyAlert, m.Alert)
	o.word(keyAlertSide, m.AlertSide)
	o.word(keyVersion, m.Version)
	o.word(keyCipherSuite, m.CipherSuite)
	o.word(keyKeyShareGroup, m.KeyShareGroup)
	o.wire(keySNI, m.SNI)
	o.wire(keyALPN, m.ALPN)
	o.flag(keyECH, m.ECH)
	o.word(keyJA3, m.JA3)
	o.wire(keyJA4, m.JA4)
	o.word(keyJA3S, m.JA3S)
	o.bool(keySessionResumed, m.SessionResumed)
	o.flag(keyRetried, m.Retried)
	o.flag(keyEarlyData, m.EarlyData)
	o.flag(keyClientCertificate, m.ClientCertificate)
	o.key(keyElapsed)
	o.b = pack.Int(o.b, m.Elapsed)
	return o.end()
}
