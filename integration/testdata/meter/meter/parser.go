package meter

import (
	"errors"
	"flowscope/session"
	"flowscope/session/wire"
)

const (
	headerSize  = 5
	typeReading = 'R'
	typeAck     = 'A'
)

var magic = []byte("M1")

var (
	errMagic = errors.New("no frame begins here")
	errType  = errors.New("unknown type of frame")
	errShort = errors.New("the frame ends in the middle of a field")
	errExtra = errors.New("the frame is longer than its fields")
)

// parser follows one flow.
type parser struct {
	waiting    map[uint64]session.Timestamp // readings without an ack
	maxWaiting int
	reading    Reading
	ack        Ack
}

// FeedInitiator implements session.SessionParser.
func (p *parser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.frames(data, out)
}

// FeedResponder implements session.SessionParser.
func (p *parser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.frames(data, out)
}

// Parse implements session.DatagramParser.
func (p *parser) Parse(payload []byte, _ session.Side, out *session.Output) error {
	n, err := p.frames(payload, out)
	if err == nil && n < len(payload) {
		err = errShort
	}
	return err
}

// Reset implements session.Resetter.
func (p *parser) Reset() {
	clear(p.waiting)
	*p = parser{waiting: p.waiting, maxWaiting: p.maxWaiting}
}

// frames parses all frames that are complete and returns their length.
func (p *parser) frames(data []byte, out *session.Output) (used int, err error) {
	for len(data)-used >= headerSize {
		c := wire.NewCursor(data[used:])
		head := c.Bytes(len(magic))
		kind := c.Uint8()
		size := int(c.Uint16())
		if string(head) != string(magic) {
			return used, errMagic
		}
		if c.Len() < size {
			return used, nil
		}
		if err := p.frame(kind, wire.NewCursor(c.Bytes(size)), out); err != nil {
			return used, err
		}
		used += headerSize + size
	}
	return used, nil
}

func (p *parser) frame(kind byte, c wire.Cursor, out *session.Output) error {
	number := uint64(c.Uint32())
	switch kind {
	case typeReading:
		p.reading = Reading{Number: number, Watts: int64(int32(c.Uint32()))}
		p.reading.Place = string(c.Rest())
	case typeAck:
		p.ack = Ack{Number: number}
	default:
		return errType
	}
	switch {
	case c.Err() != nil:
		return errShort
	case c.Len() > 0:
		return errExtra
	case kind == typeReading:
		p.wait(number, out.Now())
		out.Emit(&p.reading)
	default:
		if since, ok := p.waiting[number]; ok {
			p.ack.Delay = int64(out.Now() - since)
			delete(p.waiting, number)
		}
		out.Emit(&p.ack)
	}
	return nil
}

func (p *parser) wait(number uint64, now session.Timestamp) {
	if p.waiting == nil {
		p.waiting = map[uint64]session.Timestamp{}
	}
	if len(p.waiting) < p.maxWaiting {
		p.waiting[number] = now
	}
}
