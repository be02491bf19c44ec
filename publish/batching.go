package publish

import "strconv"

// packer puts the events of one subject that stand in a worker's batch into
// messages of many, one after another. It belongs to the publisher's goroutine.
type packer struct {
	made   []uint64 // messages per worker, for their ids
	groups []group  // per topic
	order  []int32  // topics in the order of their first event
}

// group is what one topic has in the batch at hand.
type group struct {
	records []int32
}

// pack returns a batch of messages of at most target bytes. Events about the sensor
// stay on their own, and so does an event that is alone on its subject, or larger
// than the target: those keep their own ids. The others get <run>-<worker>-<n>,
// which is the same only when the same message is sent again.
func (g *packer) pack(p *Publisher, b *Batch, target int) *Batch {
	if g.groups == nil {
		g.groups = make([]group, len(p.subjects))
		g.made = make([]uint64, p.opts.Workers+1)
	}
	if len(b.Records) < 2 {
		return b
	}
	out := new(Batch)
	if len(b.Buf) > smallBatch {
		out = p.queue.empty()
	}
	out.Worker = b.Worker
	for i := range b.Records {
		topic := b.Records[i].Topic
		t := &g.groups[topic]
		if len(t.records) == 0 {
			g.order = append(g.order, topic)
		}
		t.records = append(t.records, int32(i))
	}
	for _, topic := range g.order {
		t := &g.groups[topic]
		for rest := t.records; len(rest) > 0; {
			n := fitting(b, rest, target)
			g.add(p, out, b, rest[:n])
			rest = rest[n:]
		}
		t.records = t.records[:0]
	}
	g.order = g.order[:0]
	return out
}

// fitting returns how many of the events go into one message: at least one, and
// more only if their numbers follow each other.
func fitting(b *Batch, records []int32, target int) int {
	first := &b.Records[records[0]]
	if first.Sensor {
		return 1
	}
	size := int(first.End - first.Start)
	for n := 1; n < len(records); n++ {
		r := &b.Records[records[n]]
		size += int(r.End - r.Start)
		if size > target || r.Sensor || r.N != first.N+uint64(n) {
			return n
		}
	}
	return len(records)
}

// add appends one message made of events.
func (g *packer) add(p *Publisher, out, b *Batch, records []int32) {
	r := b.Records[records[0]]
	start := uint32(len(out.Buf))
	for _, i := range records {
		out.Buf = append(out.Buf, b.Payload(&b.Records[i])...)
	}
	idStart := start + r.IDStart - r.Start
	idEnd := idStart + r.IDEnd - r.IDStart
	end := uint32(len(out.Buf))
	if len(records) > 1 {
		g.made[b.Worker]++
		idStart = end
		out.Buf = append(append(out.Buf, p.opts.Run...), '-')
		out.Buf = append(strconv.AppendInt(out.Buf, int64(b.Worker), 10), '-')
		out.Buf = strconv.AppendUint(out.Buf, g.made[b.Worker], 10)
		idEnd = uint32(len(out.Buf))
		r.Count = uint32(len(records))
	}
	r.Start, r.End, r.IDStart, r.IDEnd = start, end, idStart, idEnd
	out.Records = append(out.Records, r)
}
