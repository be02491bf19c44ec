package tls

import (
	"time"

	"flowscope/session"
)

// ClientHello is a client's first message, or its second after a
// HelloRetryRequest (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2). Lists of
// code points are in the order of the wire and hold what RFC 8701 sets aside too.
type ClientHello struct {
	// RecordVersion is the version in the header of the record, SSL 2.0 for a
	// hello in that form (RFC 5246 appendix E.2).
	RecordVersion string `msgpack:"record_version"`
	// Version is legacy_version; what TLS 1.3 clients offer is in
	// SupportedVersions.
	Version string `msgpack:"version"`
	// SessionID is legacy_session_id in hex digits.
	SessionID string `msgpack:"session_id,omitempty"`
	// SNI is the host name of server_name (RFC 6066 section 3).
	SNI string `msgpack:"sni,omitempty"`
	// ALPN lists the protocols offered (RFC 7301).
	ALPN []string `msgpack:"alpn,omitempty"`
	// CipherSuites are numbers; in a hello of the SSL 2.0 form some have 24 bits.
	CipherSuites []uint32 `msgpack:"cipher_suites,omitempty"`
	// Extensions, SupportedGroups, ECPointFormats, SignatureAlgorithms and
	// KeyShareGroups are numbers of the registries of IANA.
	Extensions          []uint16 `msgpack:"extensions,omitempty"`
	SupportedGroups     []uint16 `msgpack:"supported_groups,omitempty"`
	ECPointFormats      []uint16 `msgpack:"ec_point_formats,omitempty"`
	SignatureAlgorithms []uint16 `msgpack:"signature_algorithms,omitempty"`
	KeyShareGroups      []uint16 `msgpack:"key_share_groups,omitempty"`
	// SupportedVersions are names, or 0x and four digits for what has none.
	SupportedVersions []string `msgpack:"supported_versions,omitempty"`
	// ECH says that there is an encrypted client hello, or what looks like one
	// on purpose (RFC 9849); SNI is that of the outer hello then.
	ECH bool `msgpack:"ech,omitempty"`
	// SessionTicket says that a ticket is presented (RFC 5077), PSK that a
	// pre-shared key is offered, EarlyData that early data follows (RFC 8446).
	SessionTicket bool `msgpack:"session_ticket,omitempty"`
	PSK           bool `msgpack:"psk,omitempty"`
	EarlyData     bool `msgpack:"early_data,omitempty"`
	// Retried says that it answers a HelloRetryRequest.
	Retried bool `msgpack:"retried,omitempty"`
	// JA3 and JA4 are fingerprints of the first hello.
	JA3 string `msgpack:"ja3,omitempty"`
	JA4 string `msgpack:"ja4,omitempty"`
}

// Answer is what ServerHello and HelloRetryRequest have in common.
type Answer struct {
	// RecordVersion is the version in the header of the record.
	RecordVersion string `msgpack:"record_version"`
	// Version is the one chosen.
	Version string `msgpack:"version"`
	// SessionID is in hex digits; TLS 1.3 repeats the client's.
	SessionID string `msgpack:"session_id,omitempty"`
	// CipherSuite is the name, or 0x and four digits for what has none.
	CipherSuite string `msgpack:"cipher_suite,omitempty"`
	// ALPN is the protocol chosen; TLS 1.3 encrypts it.
	ALPN string `msgpack:"alpn,omitempty"`
	// Extensions are numbers.
	Extensions []uint16 `msgpack:"extensions,omitempty"`
	// KeyShareGroup is the name of the group chosen in TLS 1.3, or 0x and four
	// digits.
	KeyShareGroup string `msgpack:"key_share_group,omitempty"`
	// JA3S is a fingerprint.
	JA3S string `msgpack:"ja3s,omitempty"`
}

// ServerHello is the server's choice (RFC 8446 section 4.1.3, RFC 5246 section
// 7.4.1.3).
type ServerHello struct {
	Answer
	// SessionResumed says that the message itself shows a resumption: the id of
	// the client's session is repeated, or in TLS 1.3 a pre-shared key is chosen.
	SessionResumed bool `msgpack:"session_resumed"`
}

// HelloRetryRequest asks for another ClientHello (RFC 8446 section 4.1.4).
type HelloRetryRequest struct{ Answer }

// CertificateMessage is a chain of certificates, of TLS 1.2 and before (RFC 5246
// section 7.4.2).
type CertificateMessage struct {
	// Certificates is the chain as sent, the sender's own first; an empty list
	// is a client without.
	Certificates []Certificate `msgpack:"certificates"`
	// Left is how many more there were than the configured number.
	Left int `msgpack:"left,omitempty"`
}

// Certificate is one X.509 certificate (RFC 5280), as far as it could be read.
type Certificate struct {
	// Subject and Issuer are in the form of RFC 4514.
	Subject string `msgpack:"subject,omitempty"`
	Issuer  string `msgpack:"issuer,omitempty"`
	// Serial is in hex digits.
	Serial string `msgpack:"serial,omitempty"`
	// NotBefore and NotAfter are the period of validity; nil: could not be read.
	NotBefore *time.Time `msgpack:"not_before,omitempty"`
	NotAfter  *time.Time `msgpack:"not_after,omitempty"`
	// The subject's alternative names by kind.
	DNSNames []string `msgpack:"san_dns,omitempty"`
	IPs      []string `msgpack:"san_ip,omitempty"`
	Emails   []string `msgpack:"san_email,omitempty"`
	URIs     []string `msgpack:"san_uri,omitempty"`
	// KeyType is rsa, dsa, dh, ecdsa, ed25519 …, else the identifier's digits.
	KeyType string `msgpack:"key_type,omitempty"`
	// KeySize is in bits, of RSA and DSA the modulus, of curves the field.
	KeySize int `msgpack:"key_size,omitempty"`
	// KeyCurve is the curve of an ECDSA key.
	KeyCurve string `msgpack:"key_curve,omitempty"`
	// SignatureAlgorithm is the issuer's, by OpenSSL's name, else the
	// identifier's digits.
	SignatureAlgorithm string `msgpack:"signature_algorithm,omitempty"`
	// CA says that the certificate may sign others.
	CA bool `msgpack:"ca,omitempty"`
	// Size is the length of the certificate in bytes.
	Size int `msgpack:"size"`
	// SHA1 and SHA256 are over the certificate, in hex digits.
	SHA1   string `msgpack:"sha1"`
	SHA256 string `msgpack:"sha256"`
}

// Alert is one alert (RFC 8446 section 6). The side is the sender's.
type Alert struct {
	// Level is warning or fatal, else a number.
	Level string `msgpack:"level,omitempty"`
	// Description is the alert's name, else a number.
	Description string `msgpack:"description,omitempty"`
	// Encrypted says that there was an alert of which nothing else can be seen.
	Encrypted bool `msgpack:"encrypted,omitempty"`
}

// Handshake sums up a connection, once. The side is the client's.
type Handshake struct {
	// Outcome is how the handshake ended.
	Outcome string `msgpack:"outcome"`
	// Alert and AlertSide name the alert that ended it, as far as it was
	// readable, and its sender.
	Alert     string `msgpack:"alert,omitempty"`
	AlertSide string `msgpack:"alert_side,omitempty"`
	// The others are as in the hellos.
	Version       string `msgpack:"version,omitempty"`
	CipherSuite   string `msgpack:"cipher_suite,omitempty"`
	KeyShareGroup string `msgpack:"key_share_group,omitempty"`
	SNI           string `msgpack:"sni,omitempty"`
	ALPN          string `msgpack:"alpn,omitempty"`
	ECH           bool   `msgpack:"ech,omitempty"`
	JA3           string `msgpack:"ja3,omitempty"`
	JA4           string `msgpack:"ja4,omitempty"`
	JA3S          string `msgpack:"ja3s,omitempty"`
	// SessionResumed says that the handshake was abbreviated.
	SessionResumed bool `msgpack:"session_resumed"`
	// Retried says that there was a HelloRetryRequest, EarlyData that early data
	// was offered, ClientCertificate that the client sent one (up to TLS 1.2).
	Retried           bool `msgpack:"retried,omitempty"`
	EarlyData         bool `msgpack:"early_data,omitempty"`
	ClientCertificate bool `msgpack:"client_certificate,omitempty"`
	// Elapsed is the time from the first byte seen of the first hello to the end
	// of the handshake, in nanoseconds.
	Elapsed int64 `msgpack:"elapsed_ns"`
}

// The outcomes.
const (
	// OutcomeEstablished: both sides have finished.
	OutcomeEstablished = "established"
	// OutcomeFailed: an alert ended it.
	OutcomeFailed = "failed"
	// OutcomeReset: the connection was reset.
	OutcomeReset = "reset"
	// OutcomeClosed: both sides closed the connection before the end.
	OutcomeClosed = "closed"
	// OutcomeTimeout: the flow was idle for too long.
	OutcomeTimeout = "timeout"
	// OutcomeGap: bytes are missing from the capture, so that the end was not
	// seen.
	OutcomeGap = "gap"
	// OutcomeCutOff: the flow left sight: end of input, shutdown, or eviction.
	OutcomeCutOff = "cut_off"
	// OutcomeMalformed: bytes that are no TLS.
	OutcomeMalformed = "malformed"
	// OutcomeUnknown: SSL 2.0, of which no more than the hellos can be read.
	OutcomeUnknown = "unknown"
)

var (
	_ session.Message = (*ClientHello)(nil)
	_ session.Message = (*HelloRetryRequest)(nil)
	_ session.Message = (*ServerHello)(nil)
	_ session.Message = (*CertificateMessage)(nil)
	_ session.Message = (*Alert)(nil)
	_ session.Message = (*Handshake)(nil)
)

// Kind implements session.Message.
func (*ClientHello) Kind() string { return "client_hello" }

// Kind implements session.Message.
func (*HelloRetryRequest) Kind() string { return "hello_retry_request" }

// Kind implements session.Message.
func (*ServerHello) Kind() string { return "server_hello" }

// Kind implements session.Message.
func (*CertificateMessage) Kind() string { return "certificate" }

// Kind implements session.Message.
func (*Alert) Kind() string { return "alert" }

// Kind implements session.Message.
func (*Handshake) Kind() string { return "handshake" }
