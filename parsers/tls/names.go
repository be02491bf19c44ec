package tls

// Versions as they stand in records and messages.
const (
	ssl2  = 0x0002
	ssl3  = 0x0300
	tls10 = 0x0301
	tls11 = 0x0302
	tls12 = 0x0303
	tls13 = 0x0304
	// Drafts of TLS 1.3 have numbers of their own up to the last one (RFC 8446
	// section 4.2.1); before draft 22 ServerHello had another form.
	draft13      = 0x7f00
	lastDraft13  = 0x7f1c
	draftOldForm = 0x7f15
)

var draftNames = [...]string{
	"TLS 1.3 draft 0", "TLS 1.3 draft 1", "TLS 1.3 draft 2", "TLS 1.3 draft 3", "TLS 1.3 draft 4", "TLS 1.3 draft 5",
	"TLS 1.3 draft 6", "TLS 1.3 draft 7", "TLS 1.3 draft 8", "TLS 1.3 draft 9", "TLS 1.3 draft 10", "TLS 1.3 draft 11",
	"TLS 1.3 draft 12", "TLS 1.3 draft 13", "TLS 1.3 draft 14", "TLS 1.3 draft 15", "TLS 1.3 draft 16", "TLS 1.3 draft 17",
	"TLS 1.3 draft 18", "TLS 1.3 draft 19", "TLS 1.3 draft 20", "TLS 1.3 draft 21", "TLS 1.3 draft 22", "TLS 1.3 draft 23",
	"TLS 1.3 draft 24", "TLS 1.3 draft 25", "TLS 1.3 draft 26", "TLS 1.3 draft 27", "TLS 1.3 draft 28",
}

// versionName returns the name of a version, "" if it has none.
func versionName(v uint16) string {
	switch v {
	case tls12:
		return "TLS 1.2"
	case tls13:
		return "TLS 1.3"
	case tls11:
		return "TLS 1.1"
	case tls10:
		return "TLS 1.0"
	case ssl3:
		return "SSL 3.0"
	case ssl2:
		return "SSL 2.0"
	}
	if v >= draft13 && v <= lastDraft13 {
		return draftNames[v-draft13]
	}
	return ""
}

// is13 says whether a negotiated version encrypts all but the hellos.
func is13(v uint16) bool { return v == tls13 || v >= draft13 && v <= lastDraft13 }

// grease says whether a code point is one of those that RFC 8701 section 2 sets
// aside to be ignored.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// groupName returns the name of a key exchange group (IANA "TLS Supported
// Groups"), "" if it has none.
func groupName(g uint16) string {
	if int(g) < len(groupNames) {
		return groupNames[g]
	}
	switch g {
	case 256:
		return "ffdhe2048"
	case 257:
		return "ffdhe3072"
	case 258:
		return "ffdhe4096"
	case 259:
		return "ffdhe6144"
	case 260:
		return "ffdhe8192"
	case 512:
		return "MLKEM512"
	case 513:
		return "MLKEM768"
	case 514:
		return "MLKEM1024"
	case 4587:
		return "SecP256r1MLKEM768"
	case 4588:
		return "X25519MLKEM768"
	case 4589:
		return "SecP384r1MLKEM1024"
	case 4590:
		return "curveSM2MLKEM768"
	case 25497:
		return "X25519Kyber768Draft00"
	case 25498:
		return "SecP256r1Kyber768Draft00"
	}
	return ""
}

var groupNames = [...]string{
	1: "sect163k1", 2: "sect163r1", 3: "sect163r2", 4: "sect193r1", 5: "sect193r2", 6: "sect233k1", 7: "sect233r1",
	8: "sect239k1", 9: "sect283k1", 10: "sect283r1", 11: "sect409k1", 12: "sect409r1", 13: "sect571k1", 14: "sect571r1",
	15: "secp160k1", 16: "secp160r1", 17: "secp160r2", 18: "secp192k1", 19: "secp192r1", 20: "secp224k1", 21: "secp224r1",
	22: "secp256k1", 23: "secp256r1", 24: "secp384r1", 25: "secp521r1", 26: "brainpoolP256r1", 27: "brainpoolP384r1",
	28: "brainpoolP512r1", 29: "x25519", 30: "x448", 31: "brainpoolP256r1tls13", 32: "brainpoolP384r1tls13",
	33: "brainpoolP512r1tls13", 34: "GC256A", 35: "GC256B", 36: "GC256C", 37: "GC256D", 38: "GC512A", 39: "GC512B",
	40: "GC512C", 41: "curveSM2",
}

// Alerts that the parser knows by name.
const (
	alertCloseNotify  = 0
	alertUserCanceled = 90
	levelWarning      = 1
	levelFatal        = 2
)

// alertName returns the name of an alert (IANA "TLS Alerts", and those that only
// earlier versions had), "" if it has none.
func alertName(d uint8) string {
	if int(d) < len(alertNames) {
		return alertNames[d]
	}
	return ""
}

var alertNames = [...]string{
	0: "close_notify", 1: "end_of_early_data", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed",
	22: "record_overflow", 30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
	47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	52: "too_many_cids_requested", 60: "export_restriction", 70: "protocol_version", 71: "insufficient_security",
	80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
	110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
	113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
	116: "certificate_required", 117: "general_error", 120: "no_application_protocol", 121: "ech_required",
}
