package filter

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	tokEnd     tokenKind = iota
	tokWord              // a keyword or a name
	tokNumber            // a number
	tokDotted            // an IPv4 address, or the front of one
	tokAddress           // an IPv6 address
	tokMAC               // an Ethernet address
	tokSign              // an operator or a bracket
)

// token is one piece of an expression.
type token struct {
	kind tokenKind
	text string
	at   int // of its first byte
	num  uint64
	ip   netip.Addr
	mac  [6]byte
	bits int // of a dotted prefix
	// escaped says that a backslash stands before a word.
	escaped bool
}

// signs are the operators and brackets, longer ones first.
var signs = []string{
	"&&", "||", "<<", ">>", "<=", ">=", "==", "!=",
	"(", ")", "[", "]", ":", "/", "*", "+", "-", "%", "&", "|", "^", "<", ">", "=", "!",
}

// signWords are the words that stand for signs and the other way round.
var signWords = map[string]string{"&&": "and", "||": "or", "!": "not", "==": "="}

var (
	wordText    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]*(-[A-Za-z][A-Za-z0-9_.]*)*`)
	numberText  = regexp.MustCompile(`^(0[xX][0-9A-Fa-f]+|[0-9]+)`)
	dottedText  = regexp.MustCompile(`^[0-9]+(\.[0-9]+){1,3}`)
	macText     = regexp.MustCompile(`^([0-9A-Fa-f]{1,2}[:-]){5}[0-9A-Fa-f]{1,2}`)
	macDots     = regexp.MustCompile(`^([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}`)
	addressText = regexp.MustCompile(`^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*`)
)

// tokenize cuts an expression. The last token is always tokEnd.
func tokenize(text string) ([]token, error) {
	var tokens []token
	brackets := 0
	for at := 0; ; {
		rest := text[at:]
		trimmed := strings.TrimLeft(rest, " \t\r\n")
		at += len(rest) - len(trimmed)
		if trimmed == "" {
			return append(tokens, token{kind: tokEnd, at: at}), nil
		}
		t, size, err := next(trimmed, at, brackets > 0)
		if err != nil {
			return nil, err
		}
		switch t.text {
		case "[":
			brackets++
		case "]":
			brackets = max(0, brackets-1)
		}
		tokens = append(tokens, t)
		at += size
	}
}

// next reads the token at the front of text. In brackets a colon separates
// numbers.
func next(text string, at int, bracketed bool) (token, int, error) {
	if !bracketed {
		if t, size := addressToken(text, at); size > 0 {
			return t, size, nil
		}
	}
	if s := dottedText.FindString(text); s != "" {
		t, err := dottedToken(s, at)
		return t, len(s), err
	}
	if s := numberText.FindString(text); s != "" {
		n, err := strconv.ParseUint(s, 0, 64)
		if err != nil { // 08, or too large
			n, err = strconv.ParseUint(s, 10, 64)
		}
		if err != nil || n > 1<<32-1 {
			return token{}, 0, errorAt(at, "%s is more than 32 bits", clip(s))
		}
		return token{kind: tokNumber, text: s, at: at, num: n}, len(s), nil
	}
	escaped := 0
	if text[0] == '\\' {
		escaped = 1
	}
	if s := wordText.FindString(text[escaped:]); s != "" {
		return token{kind: tokWord, text: s, at: at, escaped: escaped > 0}, escaped + len(s), nil
	}
	for _, s := range signs {
		if strings.HasPrefix(text, s) {
			t := token{kind: tokSign, text: s, at: at}
			if as, ok := signWords[s]; ok {
				t.text = as
				if as != "=" {
					t.kind = tokWord
				}
			}
			return t, len(s), nil
		}
	}
	return token{}, 0, errorAt(at, "unexpected %q", []rune(text)[0])
}

// addressToken reads an Ethernet or IPv6 address; its size is 0 if there is none.
func addressToken(text string, at int) (token, int) {
	if s := macText.FindString(text); s != "" && !continues(text[len(s):]) {
		return macToken(strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '-' }), s, at), len(s)
	}
	if s := macDots.FindString(text); s != "" && !continues(text[len(s):]) {
		pairs := strings.ReplaceAll(s, ".", "")
		var parts []string
		for i := 0; i < len(pairs); i += 2 {
			parts = append(parts, pairs[i:i+2])
		}
		return macToken(parts, s, at), len(s)
	}
	if s := addressText.FindString(text); s != "" {
		if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() {
			return token{kind: tokAddress, text: s, at: at, ip: ip, bits: 128}, len(s)
		}
	}
	return token{}, 0
}

// continues says that more of the same word follows.
func continues(rest string) bool {
	return rest != "" && (rest[0] == ':' || rest[0] == '.' || rest[0] == '-' || isWordByte(rest[0]))
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func macToken(parts []string, text string, at int) token {
	t := token{kind: tokMAC, text: text, at: at}
	for i, p := range parts {
		n, _ := strconv.ParseUint(p, 16, 8)
		t.mac[i] = byte(n)
	}
	return t
}

// dottedToken reads two to four octets.
func dottedToken(s string, at int) (token, error) {
	var ip [4]byte
	parts := strings.Split(s, ".")
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return token{}, errorAt(at, "%s is no IPv4 address: want octets from 0 to 255", clip(s))
		}
		ip[i] = byte(n)
	}
	return token{kind: tokDotted, text: s, at: at, ip: netip.AddrFrom4(ip), bits: 8 * len(parts)}, nil
}
