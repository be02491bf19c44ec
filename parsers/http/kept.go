package http

// kept is what is kept of a message whose end has not come.
type kept struct {
	head    head
	buf     []byte // the bytes of the head
	spans   []span // of its fields, once it is complete
	tail    []byte // of trailers, or of one line of a head that is too long
	body    []byte
	asked   waiting // the request of a response
	isAsked bool
	cutBody bool // body has a hole and takes no more
	counted int
}

// What idle memory is kept for other messages.
const (
	maxSpare      = 64
	maxSpareBytes = 8 << 10
)

// keeper lends memory to the parsers of one worker.
type keeper struct {
	spare []*kept
	held  int // bytes lent
	max   int
}

// spanSize is what a span takes.
const spanSize = 20

// get lends a kept.
func (k *keeper) get() *kept {
	if n := len(k.spare); n > 0 {
		x := k.spare[n-1]
		k.spare = k.spare[:n-1]
		return x
	}
	return &kept{}
}

// put takes it back.
func (k *keeper) put(x *kept) {
	k.held -= x.counted
	if len(k.spare) >= maxSpare {
		return
	}
	*x = kept{
		buf: spareOf(x.buf), tail: spareOf(x.tail), body: spareOf(x.body), spans: x.spans[:0],
		asked: waiting{raw: spareOf(x.asked.raw)},
	}
	if cap(x.spans) > 256 {
		x.spans = nil
	}
	k.spare = append(k.spare, x)
}

func spareOf(b []byte) []byte {
	if cap(b) > maxSpareBytes {
		return nil
	}
	return b[:0]
}

// grow appends to one of the buffers of x as much of data as the limit and the
// memory of all allow, and returns how much that was.
func (k *keeper) grow(x *kept, buf *[]byte, data []byte, limit int) int {
	n := max(min(len(data), limit-len(*buf), k.max-k.held), 0)
	*buf = append(*buf, data[:n]...)
	k.held += n
	x.counted += n
	return n
}
