package http

// fieldKind names the fields that mean something to the parser.
type fieldKind uint8

const (
	hostField fieldKind = iota
	userAgentField
	refererField
	contentTypeField
	serverField
	locationField
	contentEncodingField
	numPublished

	contentLengthField
	transferEncodingField
	otherField

	// Secrets; their kinds are bits beside each other, see Config.Secrets.
	authorizationField
	proxyAuthorizationField
	cookieField
	setCookieField
	numKinds
)

// secretNames are the fields that hold secrets, in lower case.
var secretNames = map[string]fieldKind{
	"authorization":       authorizationField,
	"proxy-authorization": proxyAuthorizationField,
	"cookie":              cookieField,
	"set-cookie":          setCookieField,
}

// redacted stands for the value of a secret.
const redacted = "[redacted]"

// kindOf names a field by its length, its first letter and then all of it.
func kindOf(name []byte) fieldKind {
	if len(name) < 4 || len(name) > 19 {
		return otherField
	}
	switch len(name)<<8 | int(name[0]|0x20) {
	case 4<<8 | 'h':
		return ifFold(name, "host", hostField)
	case 6<<8 | 's':
		return ifFold(name, "server", serverField)
	case 6<<8 | 'c':
		return ifFold(name, "cookie", cookieField)
	case 7<<8 | 'r':
		return ifFold(name, "referer", refererField)
	case 8<<8 | 'l':
		return ifFold(name, "location", locationField)
	case 10<<8 | 'u':
		return ifFold(name, "user-agent", userAgentField)
	case 10<<8 | 's':
		return ifFold(name, "set-cookie", setCookieField)
	case 12<<8 | 'c':
		return ifFold(name, "content-type", contentTypeField)
	case 13<<8 | 'a':
		return ifFold(name, "authorization", authorizationField)
	case 14<<8 | 'c':
		return ifFold(name, "content-length", contentLengthField)
	case 16<<8 | 'c':
		return ifFold(name, "content-encoding", contentEncodingField)
	case 17<<8 | 't':
		return ifFold(name, "transfer-encoding", transferEncodingField)
	case 19<<8 | 'p':
		return ifFold(name, "proxy-authorization", proxyAuthorizationField)
	default:
		return otherField
	}
}

func ifFold(name []byte, lower string, kind fieldKind) fieldKind {
	if equalFold(name, lower) {
		return kind
	}
	return otherField
}

// equalFold compares with a string in lower case that holds letters and hyphens.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range lower {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// containsFold says whether b contains a string in lower case.
func containsFold(b []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(b); i++ {
		if equalFold(b[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// headers makes the fields of a head, in the memory of list. hidden has a bit for
// each kind that is not published.
func headers(list []Header, base []byte, spans []span, hidden uint32, cr bool) []Header {
	list = list[:0]
	for i := range spans {
		s := &spans[i]
		name, value := base[s.name:s.nameEnd], base[s.value:s.valueEnd]
		h := Header{str(name), str(value)}
		if hidden&(1<<s.kind) != 0 || cr && smuggled(value, hidden) {
			h[1] = redacted
		}
		list = append(list, h)
	}
	return list
}

// smuggled says whether a value with a bare carriage return in it holds a secret
// field, to readers that take that for a line's end.
func smuggled(value []byte, hidden uint32) bool {
	for i, c := range value {
		if c != '\r' {
			continue
		}
		for name, kind := range secretNames {
			if hidden&(1<<kind) != 0 && containsFold(value[i:], name) {
				return true
			}
		}
		return false
	}
	return false
}
