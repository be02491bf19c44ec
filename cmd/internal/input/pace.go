package input

import (
	"context"
	"time"

	"flowscope/ingest"
)

const (
	// batch is how many packets are read ahead of their time.
	batch = 256
	// nap is how long ReadBatch sleeps at most, so that flows expire on time
	// and an interrupted run ends soon.
	nap = 50 * time.Millisecond
)

// Pacer is a source that hands each packet on when it is due: at its distance
// from the first packet, divided by the speed. Packets whose time runs backwards
// are due at once; an input that begins anew starts a new count.
type Pacer struct {
	ctx   context.Context
	src   ingest.Source
	speed float64

	packets []ingest.Packet // read ahead, borrowed from src
	waiting []ingest.Packet // the part of packets that is not handed on
	err     error           // comes after waiting

	begun bool
	first ingest.Timestamp // handed on at start
	start time.Time
	last  ingest.Timestamp // the highest time so far
	input int
}

var (
	_ ingest.Source  = (*Pacer)(nil)
	_ ingest.Live    = (*Pacer)(nil)
	_ ingest.Clocked = (*Pacer)(nil)
	_ ingest.Lossy   = (*Pacer)(nil)
)

// Pace returns a source that paces src, and owns it from then on. A speed of 1
// is as recorded, 10 is ten times faster; it is greater than 0. When ctx ends it
// waits for nothing any more.
func Pace(ctx context.Context, src ingest.Source, speed float64) *Pacer {
	return &Pacer{ctx: ctx, src: src, speed: speed, packets: make([]ingest.Packet, batch)}
}

// ReadBatch implements ingest.Source. It returns nothing, after a while, when no
// packet is due.
func (p *Pacer) ReadBatch(packets []ingest.Packet) (int, error) {
	if len(p.waiting) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		n, err := p.src.ReadBatch(p.packets)
		p.waiting, p.err = p.packets[:n], err
		if n == 0 {
			return 0, err
		}
	}
	n := 0
	for n < len(packets) && len(p.waiting) > 0 {
		if wait := p.until(&p.waiting[0]); wait > 0 {
			if n == 0 {
				p.sleep(min(wait, nap))
			}
			return n, nil
		}
		packets[n] = p.waiting[0]
		p.waiting = p.waiting[1:]
		n++
	}
	return n, nil
}

// until says how long it is until a packet is due.
func (p *Pacer) until(packet *ingest.Packet) time.Duration {
	t := packet.Time
	if !p.begun || packet.Interface.Input != p.input && t < p.last {
		p.begun, p.first, p.start, p.last = true, t, time.Now(), t
		p.input = packet.Interface.Input
		return 0
	}
	p.input = packet.Interface.Input
	if t <= p.last {
		return 0
	}
	due := time.Duration(float64(t.Sub(p.first)) / p.speed)
	if wait := due - time.Since(p.start); wait > 0 {
		return wait
	}
	p.last = t
	return 0
}

func (p *Pacer) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	}
}

// Clock implements ingest.Clocked: what time it is in the capture.
func (p *Pacer) Clock() (ingest.Timestamp, bool) {
	if !p.begun || len(p.waiting) == 0 {
		return 0, false
	}
	now := p.first.Add(time.Duration(float64(time.Since(p.start)) * p.speed))
	return min(now, p.waiting[0].Time), true
}

// Live implements ingest.Live: packets do not wait for others.
func (p *Pacer) Live() bool { return true }

// Close implements ingest.Source.
func (p *Pacer) Close() error {
	p.waiting = nil
	return p.src.Close()
}

// Losses implements ingest.Lossy.
func (p *Pacer) Losses() ingest.Losses { return lossesOf(p.src) }
