package session

import "math/bits"

// maxPooled bounds how many idle parsers of one factory are kept.
const maxPooled = 1 << 16

// parserPool keeps idle parsers of one factory and family, if they can be reset.
type parserPool[P any] struct{ idle []P }

// get returns a parser that was reset.
func (p *parserPool[P]) get() (parser P, ok bool) {
	n := len(p.idle)
	if n == 0 {
		return parser, false
	}
	parser, p.idle = p.idle[n-1], p.idle[:n-1]
	return parser, true
}

func (p *parserPool[P]) put(parser P) {
	if len(p.idle) < maxPooled {
		p.idle = append(p.idle, parser)
	}
}

// The classes of buffers: powers of two. Larger ones are not pooled.
const (
	smallestBuffer = 9  // 512 bytes
	bufferClasses  = 12 // up to 1 MiB
	maxIdleBytes   = 16 << 20
)

// bufferPool lends memory for what parsers have not consumed.
type bufferPool struct {
	idle      [bufferClasses][][]byte
	idleBytes int
	used      int // bytes lent
}

func bufferClass(n int) int {
	return max(bits.Len(uint(max(n, 1)-1)), smallestBuffer) - smallestBuffer
}

// get returns an empty buffer for n bytes.
func (p *bufferPool) get(n int) []byte {
	class := bufferClass(n)
	size := 1 << (class + smallestBuffer)
	p.used += size
	if class < bufferClasses {
		if k := len(p.idle[class]); k > 0 {
			b := p.idle[class][k-1]
			p.idle[class] = p.idle[class][:k-1]
			p.idleBytes -= size
			return b
		}
	}
	return make([]byte, 0, size)
}

// put takes back a buffer that get or grow returned; nil is none.
func (p *bufferPool) put(b []byte) {
	if cap(b) == 0 {
		return
	}
	p.used -= cap(b)
	class := bufferClass(cap(b))
	if class < bufferClasses && p.idleBytes+cap(b) <= maxIdleBytes {
		p.idle[class] = append(p.idle[class], b[:0])
		p.idleBytes += cap(b)
	}
}

// appendTo appends data to a buffer of the pool, in a larger one if need be.
func (p *bufferPool) appendTo(b, data []byte) []byte {
	if len(b)+len(data) > cap(b) {
		larger := append(p.get(len(b)+len(data)), b...)
		p.put(b)
		b = larger
	}
	return append(b, data...)
}
