package filter

import (
	"net/netip"
)

// qualifiers are the words before an address or a number.
type qualifiers struct {
	proto  string // "" for none
	word   protocolWord
	at     int // of the first word
	dir    direction
	hasDir bool
	kind   idKind
}

// idKind says what an address or a number is taken for.
type idKind uint8

const (
	kindNone idKind = iota // as a host
	kindHost
	kindNet
	kindPort
	kindPortRange
	kindProto
)

var kindWords = map[string]idKind{
	"host": kindHost, "net": kindNet, "port": kindPort, "portrange": kindPortRange, "proto": kindProto,
}

// qualified reads a protocol, a direction, a kind, and what goes with them.
func (p *parser) qualified(v value) value {
	q := &qualifiers{at: p.peek().at}
	if name, ok := protocolName(p.peek()); ok {
		p.take()
		q.proto, q.word = name, protocolWords[name]
	}
	p.direction(q)
	if t := p.peek(); t.kind == tokWord && !t.escaped {
		if kind, ok := kindWords[t.text]; ok {
			p.take()
			q.kind = kind
		}
	}
	if q.kind == kindNone && !q.hasDir {
		v.cond = p.alone(q)
		return v
	}
	p.checkQualifiers(q)
	if p.err == nil && !p.startsID(q) && !p.peek().is("(") && !p.peek().is("not") {
		p.unexpected(q.want())
	}
	v.cond = p.ids(q)
	v.quals = q
	return v
}

// direction reads src, dst, src or dst, src and dst, and the other way round.
func (p *parser) direction(q *qualifiers) {
	t := p.peek()
	if !t.is("src") && !t.is("dst") {
		return
	}
	p.take()
	q.hasDir, q.dir = true, srcOnly
	other := "dst"
	if t.is("dst") {
		q.dir, other = dstOnly, "src"
	}
	if op := p.peek(); (op.is("or") || op.is("and")) && p.after(1).is(other) {
		q.dir = srcOrDst
		if op.is("and") {
			q.dir = srcAndDst
		}
		p.take()
		p.take()
	}
}

// alone is a protocol without anything, or a word for many receivers.
func (p *parser) alone(q *qualifiers) node {
	t := p.peek()
	if t.is("broadcast") || t.is("multicast") {
		return p.receivers(q)
	}
	if q.proto == "" {
		if t.kind == tokWord && !refusedWords[t.text] && t.text != "and" && t.text != "or" {
			p.fail(t.at, "unknown word %s: want a condition", clip(t.text))
		}
		p.unexpected("a condition")
		return constant(false)
	}
	switch w := q.word; {
	case w.family == linkLayer:
		p.unexpected("host, src, dst, proto, broadcast or multicast after " + q.proto)
		return constant(false)
	case w.ether != 0:
		return etherType{w.ether}
	default:
		return transport{w.family, w.proto}
	}
}

// receivers reads broadcast or multicast.
func (p *parser) receivers(q *qualifiers) node {
	t := p.take()
	link := q.proto == "" || q.word.family == linkLayer
	switch {
	case t.text == "broadcast" && link:
		return linkAddress{dstOnly, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	case t.text == "multicast" && link:
		return linkMulticast{}
	case t.text == "multicast" && (q.proto == "ip" || q.proto == "ip6"):
		return multicast{q.word.family}
	case q.proto == "ip":
		p.fail(t.at, "ip broadcast is not supported: it depends on the netmask; use dst host")
	default:
		p.fail(t.at, "%s does not go with %s", t.text, q.proto)
	}
	return constant(false)
}

// checkQualifiers refuses words that do not go together.
func (p *parser) checkQualifiers(q *qualifiers) {
	f := q.word.family
	transportWord := q.proto != "" && q.word.ether == 0 && f != linkLayer
	wrong := false
	switch q.kind {
	case kindNone, kindHost:
		wrong = transportWord
	case kindNet:
		wrong = transportWord || f == linkLayer
	case kindPort, kindPortRange:
		ported := q.proto == "tcp" || q.proto == "udp" || q.proto == "sctp"
		wrong = q.proto != "" && q.proto != "ip" && q.proto != "ip6" && !ported
	case kindProto:
		wrong = q.hasDir || q.proto != "" && q.proto != "ip" && q.proto != "ip6" && f != linkLayer
	}
	if wrong {
		p.fail(q.at, "these words do not go together: want %s", map[idKind]string{
			kindNone: "ip, ip6, arp, rarp or ether with an address", kindHost: "ip, ip6, arp, rarp or ether before host",
			kindNet: "ip, ip6, arp or rarp before net", kindPort: "ip, ip6, tcp, udp or sctp before port",
			kindPortRange: "ip, ip6, tcp, udp or sctp before portrange", kindProto: "ip, ip6 or ether before proto",
		}[q.kind])
	}
}

func (q *qualifiers) want() string {
	switch q.kind {
	case kindNet:
		return "a network such as 192.0.2.0/24"
	case kindPort:
		return "a port"
	case kindPortRange:
		return "two ports such as 20-30"
	case kindProto:
		return "a protocol's number or name"
	}
	if q.word.family == linkLayer {
		return "an Ethernet address"
	}
	return "an address"
}

// startsID says whether the next token can be what the qualifiers are about.
func (p *parser) startsID(q *qualifiers) bool {
	t := p.peek()
	switch t.kind {
	case tokDotted, tokAddress, tokMAC:
		return true
	case tokNumber:
		follows := p.after(1)
		if follows.kind != tokSign || follows.is("/") && q.kind == kindNet || follows.is("-") && q.kind == kindPortRange {
			return true
		}
		return precedence[follows.text] == 0 && !relations[follows.text]
	case tokWord:
		if t.escaped {
			return q.kind == kindProto
		}
		if q.kind == kindProto {
			_, ok := protocolName(t)
			return ok && !p.after(1).is("[")
		}
		return !isKeyword(t)
	default:
		return false
	}
}

// isKeyword says whether a word has a meaning of its own.
func isKeyword(t *token) bool {
	_, proto := protocolName(t)
	_, kind := kindWords[t.text]
	_, named := constants[t.text]
	switch t.text {
	case "and", "or", "not", "src", "dst", "len", "less", "greater", "vlan", "broadcast", "multicast", "mask":
		return true
	}
	return proto || kind || named || refusedWords[t.text]
}

// ids reads one id, with not before it, or several in brackets.
func (p *parser) ids(q *qualifiers) node {
	if p.err != nil || !p.enter() {
		return constant(false)
	}
	defer p.leave()
	if p.accept("not") {
		return not{p.ids(q)}
	}
	if !p.accept("(") {
		return p.id(q)
	}
	left := p.ids(q)
	for p.err == nil && !p.accept(")") {
		switch {
		case p.accept("and"):
			left = both{left, p.ids(q)}
		case p.accept("or"):
			left = either{left, p.ids(q)}
		default:
			p.unexpected("and, or or )")
		}
	}
	return left
}

// id reads one address, port or protocol.
func (p *parser) id(q *qualifiers) node {
	switch q.kind {
	case kindPort, kindPortRange:
		return p.port(q)
	case kindProto:
		return p.protocol(q)
	case kindNet:
		return p.network(q)
	default:
		return p.host(q)
	}
}

// host reads an address.
func (p *parser) host(q *qualifiers) node {
	t := p.take()
	switch {
	case t.kind == tokMAC && q.word.family == linkLayer:
		return linkAddress{q.dir, t.mac}
	case t.kind == tokMAC:
		p.fail(t.at, "%s is an Ethernet address: want ether before it", clip(t.text))
	case q.word.family == linkLayer:
		p.fail(t.at, "%s: want an Ethernet address such as 02:00:5e:10:00:01", clip(t.text))
	case t.kind == tokWord:
		p.fail(t.at, "%s: names are not looked up, want an address", clip(t.text))
	case p.peek().is("/"):
		p.fail(p.peek().at, "a prefix goes with net, not with host")
	case t.kind == tokDotted || t.kind == tokAddress:
		return p.addresses(q, t, t.ip, t.bits)
	default:
		p.fail(t.at, "%s is no address", clip(t.text))
	}
	return constant(false)
}

// network reads an address with the length of its prefix or a mask.
func (p *parser) network(q *qualifiers) node {
	t := p.take()
	ip, bits := t.ip, t.bits
	switch t.kind {
	case tokNumber:
		if t.num > 255 {
			p.fail(t.at, "%s is no network", clip(t.text))
			return constant(false)
		}
		ip, bits = netip.AddrFrom4([4]byte{byte(t.num)}), 8
	case tokDotted, tokAddress:
	case tokWord:
		p.fail(t.at, "%s: names are not looked up, want a network such as 192.0.2.0/24", clip(t.text))
		return constant(false)
	default:
		p.fail(t.at, "%s is no network", clip(t.text))
		return constant(false)
	}
	if p.accept("/") {
		bits = int(p.number(uint64(ip.BitLen())))
	} else if ip.Is4() && p.accept("mask") {
		m := p.take()
		if m.kind != tokDotted || m.bits != 32 {
			p.fail(m.at, "%s: want a mask such as 255.255.255.0", clip(m.text))
			return constant(false)
		}
		n := p.addresses(q, t, ip, 32)
		if w, ok := n.(network); ok {
			mask := m.ip.As4()
			w.prefixes[0].mask = [16]byte{}
			copy(w.prefixes[0].mask[:], mask[:])
			p.checkHostBits(t, w)
			return w
		}
		return n
	}
	n := p.addresses(q, t, ip, bits)
	if w, ok := n.(network); ok {
		p.checkHostBits(t, w)
	}
	return n
}

// checkHostBits refuses a network with bits outside of its mask.
func (p *parser) checkHostBits(t *token, w network) {
	f := &w.prefixes[0]
	for i := range f.addr {
		if f.addr[i]&^f.mask[i] != 0 {
			p.fail(t.at, "%s has bits that are not in its mask", clip(t.text))
			return
		}
	}
}

func addressBytes(ip netip.Addr) [16]byte {
	if ip.Is4() {
		b := ip.As4()
		return [16]byte{b[0], b[1], b[2], b[3]}
	}
	return ip.As16()
}

// addresses makes the condition of an address and the length of its mask.
func (p *parser) addresses(q *qualifiers, t *token, ip netip.Addr, bits int) node {
	w := network{family: q.word.family, dir: q.dir, six: ip.Is6()}
	f := prefix{addr: addressBytes(ip)}
	if w.family == ip6 && ip.Is4() || w.family != ip6 && w.family != anyFamily && ip.Is6() {
		p.fail(t.at, "%s does not go with %s", clip(t.text), q.proto)
		return constant(false)
	}
	for i := range bits {
		f.mask[i/8] |= 0x80 >> (i % 8)
	}
	w.prefixes = []prefix{f}
	return w
}

// port reads a port or two.
func (p *parser) port(q *qualifiers) node {
	c := port{family: q.word.family, protos: []uint8{protoTCP, protoUDP, protoSCTP}, dir: q.dir}
	if q.word.proto != 0 {
		c.protos = []uint8{q.word.proto}
	}
	r := portRange{lo: p.portNumber()}
	r.hi = r.lo
	if q.kind == kindPortRange {
		if p.accept("-") {
			r.hi = p.portNumber()
		}
		if r.lo > r.hi {
			r.lo, r.hi = r.hi, r.lo
		}
	}
	c.ranges = []portRange{r}
	return c
}

func (p *parser) portNumber() uint16 {
	t := p.peek()
	if t.kind == tokWord {
		p.take()
		n, ok := services[t.text]
		if !ok {
			p.fail(t.at, "%s: unknown name of a port, use its number", clip(t.text))
		}
		return n
	}
	return uint16(p.number(65535))
}

// protocol reads a number or a name after proto.
func (p *parser) protocol(q *qualifiers) node {
	t := p.peek()
	if q.word.family == linkLayer {
		return p.etherProtocol(t)
	}
	if t.kind == tokWord {
		p.take()
		name, ok := protocolName(t)
		if w := protocolWords[name]; ok && w.proto != 0 {
			return transport{q.word.family, w.proto}
		}
		p.fail(t.at, "%s: unknown protocol over IP, use its number", clip(t.text))
		return constant(false)
	}
	return transport{q.word.family, uint8(p.number(255))}
}

func (p *parser) etherProtocol(t *token) node {
	if t.kind == tokWord {
		p.take()
		name, ok := protocolName(t)
		if w := protocolWords[name]; ok && w.ether != 0 {
			return etherType{w.ether}
		}
		p.fail(t.at, "%s: unknown EtherType, use its number", clip(t.text))
		return constant(false)
	}
	n := p.number(65535)
	switch {
	case n < 0x600:
		p.fail(t.at, "%d is no EtherType: want 0x600 to 0xffff", n)
	case n == etherVLAN || n == etherQinQ || n == etherVLANOld:
		return vlan{-1}
	}
	return etherType{uint16(n)}
}
