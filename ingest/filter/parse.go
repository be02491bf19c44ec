package filter

import "fmt"

const (
	// maxText bounds an expression in bytes, maxDepth how deep brackets nest.
	maxText  = 64 << 10
	maxDepth = 200
)

// Expression is a filter expression that makes sense.
type Expression struct {
	text string
	root node
}

// Parse reads an expression; the empty one is true of every packet. The error
// is an *Error.
func Parse(text string) (*Expression, error) {
	if len(text) > maxText {
		return nil, errorAt(maxText, "the expression is longer than %d bytes", maxText)
	}
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens}
	if p.peek().kind == tokEnd {
		return &Expression{text: text, root: constant(true)}, nil
	}
	v := p.expression()
	if p.err == nil && p.peek().kind != tokEnd {
		p.unexpected("and, or, or the end")
	}
	p.wantCondition(v)
	if p.err != nil {
		return nil, p.err
	}
	return &Expression{text: text, root: v.cond}, nil
}

// String returns the text that was parsed.
func (e *Expression) String() string { return e.text }

// parser reads tokens by recursive descent. The first error sticks, and makes
// everything after it stand at the end.
type parser struct {
	tokens []token
	pos    int
	depth  int
	err    error
}

// value is what a part of an expression is: a condition or a number.
type value struct {
	cond node
	num  number
	at   int
	// quals are what a bare address or number after and, or is taken for.
	quals *qualifiers
}

func (p *parser) peek() *token {
	if p.err != nil {
		return &p.tokens[len(p.tokens)-1]
	}
	return &p.tokens[p.pos]
}

// after looks n tokens ahead.
func (p *parser) after(n int) *token {
	return &p.tokens[min(p.pos+n, len(p.tokens)-1)]
}

func (p *parser) take() *token {
	t := p.peek()
	if p.pos < len(p.tokens)-1 {
		p.pos++
	}
	return t
}

func (p *parser) fail(at int, format string, args ...any) {
	if p.err == nil {
		p.err = errorAt(at, format, args...)
	}
}

func (p *parser) unexpected(want string) {
	t := p.peek()
	switch {
	case t.kind == tokEnd:
		p.fail(t.at, "the expression ends: want %s", want)
	case t.kind == tokWord && refusedWords[t.text]:
		p.fail(t.at, "%s is not supported here", t.text)
	default:
		p.fail(t.at, "unexpected %s: want %s", clip(t.text), want)
	}
}

// is says whether a word or sign comes next.
func (t *token) is(text string) bool {
	return (t.kind == tokWord || t.kind == tokSign) && !t.escaped && t.text == text
}

// accept takes a word or sign if it comes next.
func (p *parser) accept(text string) bool {
	if p.err == nil && p.peek().is(text) {
		p.take()
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.unexpected(text)
	}
}

func (p *parser) wantCondition(v value) {
	if v.cond == nil {
		p.fail(v.at, "a number is no condition: compare it with = != < <= > >=")
	}
}

func (p *parser) wantNumber(v value) {
	if v.num == nil {
		p.fail(v.at, "want a number here, not a condition")
	}
}

// enter counts the depth; leave must follow.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail(p.peek().at, "nested deeper than %d", maxDepth)
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

// expression reads terms; and and or bind alike, from left to right, as libpcap
// has it.
func (p *parser) expression() value {
	if !p.enter() {
		return value{}
	}
	defer p.leave()
	left := p.term(nil)
	for p.err == nil {
		isAnd := p.peek().is("and")
		if !isAnd && !p.peek().is("or") {
			break
		}
		p.wantCondition(left)
		p.take()
		right := p.term(left.quals)
		p.wantCondition(right)
		if isAnd {
			left.cond = both{left.cond, right.cond}
		} else {
			left.cond = either{left.cond, right.cond}
		}
		left.quals = right.quals
	}
	return left
}

// term reads one condition, with not before it, or a bare address or number if
// there are qualifiers to go with it.
func (p *parser) term(q *qualifiers) value {
	if !p.enter() {
		return value{}
	}
	defer p.leave()
	at := p.peek().at
	if p.accept("not") {
		v := p.term(q)
		p.wantCondition(v)
		return value{cond: not{v.cond}, at: at, quals: v.quals}
	}
	if q != nil && p.startsID(q) {
		return value{cond: p.ids(q), at: at, quals: q}
	}
	return p.relation()
}

var relations = map[string]bool{"=": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

// relation reads a comparison, or what stands alone.
func (p *parser) relation() value {
	left := p.arithmetic(1)
	t := p.peek()
	if p.err != nil || t.kind != tokSign || !relations[t.text] {
		return left
	}
	p.wantNumber(left)
	op := p.take().text
	right := p.arithmetic(1)
	p.wantNumber(right)
	if p.err != nil {
		return value{}
	}
	return value{cond: relation{op, left.num, right.num}, at: left.at}
}

// precedence is how tight an operator binds.
var precedence = map[string]int{
	"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
}

// arithmetic reads operators of at least some precedence.
func (p *parser) arithmetic(least int) value {
	left := p.primary()
	for p.err == nil {
		t := p.peek()
		binds := precedence[t.text]
		if t.kind != tokSign || binds < least {
			break
		}
		if left.num == nil {
			p.unexpected("and, or, or the end")
			break
		}
		op := p.take()
		right := p.arithmetic(binds + 1)
		p.wantNumber(right)
		if p.err != nil {
			return value{}
		}
		left.num = operation{op.text, left.num, right.num}
		if n, ok := right.num.(literal); ok {
			p.checkOperand(op, n)
		}
	}
	return left
}

func (p *parser) checkOperand(op *token, n literal) {
	switch {
	case (op.text == "/" || op.text == "%") && n == 0:
		p.fail(op.at, "division by zero")
	case (op.text == "<<" || op.text == ">>") && n > 31:
		p.fail(op.at, "shift by more than 31 bits")
	}
}

// primary reads what has no operator in it.
func (p *parser) primary() value {
	if !p.enter() {
		return value{}
	}
	defer p.leave()
	t := p.peek()
	v := value{at: t.at}
	switch {
	case p.accept("("):
		v = p.expression()
		v.quals = nil
		p.expect(")")
	case p.accept("-"):
		x := p.primary()
		p.wantNumber(x)
		if p.err == nil {
			v.num = operation{"-", literal(0), x.num}
		}
	case t.kind == tokNumber:
		p.take()
		v.num = literal(t.num)
	case t.kind == tokWord:
		return p.word(v)
	case t.kind == tokDotted || t.kind == tokAddress || t.kind == tokMAC:
		p.fail(t.at, "%s: want a word such as host or net before it", clip(t.text))
	default:
		p.unexpected("a condition")
	}
	return v
}

// word reads what begins with a word.
func (p *parser) word(v value) value {
	t := p.peek()
	if t.escaped {
		p.fail(t.at, "\\%s: want a word such as proto before it", clip(t.text))
		return v
	}
	if n, ok := constants[t.text]; ok {
		p.take()
		v.num = literal(n)
		return v
	}
	switch t.text {
	case "len":
		p.take()
		v.num = length{}
	case "less", "greater":
		p.take()
		op := map[string]string{"less": "<=", "greater": ">="}[t.text]
		v.cond = relation{op, length{}, literal(p.number(1<<32 - 1))}
	case "vlan":
		p.take()
		id := -1
		if p.peek().kind == tokNumber {
			id = int(p.number(4095))
		}
		v.cond = vlan{id}
	default:
		if name, ok := protocolName(t); ok && p.after(1).is("[") {
			v.num = p.load(name)
			return v
		}
		return p.qualified(v)
	}
	return v
}

func protocolName(t *token) (string, bool) {
	name := t.text
	if other, ok := protocolAliases[name]; ok {
		name = other
	}
	_, ok := protocolWords[name]
	return name, ok && t.kind == tokWord
}

// number reads a number.
func (p *parser) number(most uint64) uint64 {
	t := p.peek()
	if t.kind != tokNumber {
		p.unexpected("a number")
		return 0
	}
	p.take()
	if t.num > most {
		p.fail(t.at, "%s is too large: want at most %d", clip(t.text), most)
		return most
	}
	return t.num
}

// load reads name[index] or name[index:size].
func (p *parser) load(name string) number {
	at := p.take().at
	w := protocolWords[name]
	if !w.bytes {
		p.fail(at, "%s[…] is not supported", name)
	}
	p.expect("[")
	index := p.arithmetic(1)
	p.wantNumber(index)
	size := 1
	if p.accept(":") {
		at := p.peek().at
		if size = int(p.number(4)); size != 1 && size != 2 && size != 4 {
			p.fail(at, "%d bytes: want 1, 2 or 4", size)
		}
	}
	p.expect("]")
	if p.err != nil {
		return literal(0)
	}
	return load{w.base, index.num, size}
}

var _ fmt.Stringer = (*Expression)(nil)
