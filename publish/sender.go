package publish

import (
	"strconv"
	"unsafe"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ContentType is the header of messages that carry events.
const ContentType = "application/vnd.flowscope.event.v1+msgpack"

// The headers of messages beside Content-Type and Nats-Msg-Id.
const (
	// SeqHeader is <run>.<worker>.<n>: n counts per run, worker and subject.
	SeqHeader = "Flowscope-Seq"
	// CountHeader is the number of events in the payload, 1 if it is missing.
	CountHeader = "Flowscope-Count"
)

// sender makes messages for one goroutine and uses their memory again.
type sender struct {
	p     *Publisher
	msg   nats.Msg
	id    [1]string
	seq   [1]string
	count [1]string
	buf   []byte // holds seq and count
	reply []byte
	copy  Batch
}

func (s *sender) init(p *Publisher) {
	s.p = p
	s.msg.Header = nats.Header{
		jetstream.MsgIDHeader: s.id[:],
		"Content-Type":        {ContentType},
		SeqHeader:             s.seq[:],
	}
}

// send publishes one message; it keeps nothing of the batch. The client copies
// all of the message before it returns, so that the headers may stand in memory
// that is used again.
func (s *sender) send(t *jetStream, b *Batch, r *Record, reply string) error {
	s.id[0] = view(b.ID(r))
	s.buf = append(append(s.buf[:0], s.p.opts.Run...), '.')
	s.buf = append(strconv.AppendInt(s.buf, int64(b.Worker), 10), '.')
	s.buf = strconv.AppendUint(s.buf, r.N, 10)
	end := len(s.buf)
	if r.Count > 1 {
		s.buf = strconv.AppendUint(s.buf, uint64(r.Count), 10)
		s.count[0] = view(s.buf[end:])
		s.msg.Header[CountHeader] = s.count[:]
	} else if s.count[0] != "" {
		s.count[0] = ""
		delete(s.msg.Header, CountHeader)
	}
	s.seq[0] = view(s.buf[:end])
	s.msg.Reply = reply
	s.msg.Subject = s.p.subjects[r.Topic]
	s.msg.Data = b.Payload(r)
	err := t.put(&s.msg)
	s.id[0], s.seq[0], s.msg.Reply, s.msg.Data = "", "", "", nil
	return err
}

// view is b as a string; b must not change while it is in use.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// replyFor is where the answer to one message of its own goes, valid until the
// next call.
func (s *sender) replyFor(t *jetStream, k int32, gen uint32) string {
	s.reply = append(s.reply[:0], t.inbox...)
	s.reply = strconv.AppendUint(s.reply, uint64(k)<<32|uint64(gen), 36)
	return view(s.reply)
}

// copyOf returns a batch of one message with memory of its own, valid until the
// next call.
func (s *sender) copyOf(b *Batch, r *Record) *Batch {
	s.copy.Reset()
	s.copy.Worker = b.Worker
	s.copy.Buf = append(append(s.copy.Buf, b.Payload(r)...), b.ID(r)...)
	c := *r
	c.Start, c.End = 0, r.End-r.Start
	c.IDStart, c.IDEnd = c.End, uint32(len(s.copy.Buf))
	s.copy.Records = append(s.copy.Records, c)
	return &s.copy
}
