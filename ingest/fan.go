package ingest

import (
	"math/bits"
	"sync"
)

// A worker's queue holds a handful of parcels: enough that neither side waits
// for the other at every one, few enough that the bytes stay in the caches.
const (
	parcelPackets = 256
	parcelBytes   = 128 << 10
	parcelsQueued = 4
)

// fan divides packets over several workers, each on a goroutine of its own.
type fan struct {
	spread func(*Packet) uint64
	lanes  []*lane
	done   sync.WaitGroup
}

// newFan starts the workers.
func newFan(spread func(*Packet) uint64, workers []Handler) *fan {
	f := &fan{spread: spread, lanes: make([]*lane, len(workers))}
	for i, worker := range workers {
		l := newLane()
		f.lanes[i] = l
		f.done.Go(func() { l.run(worker) })
	}
	return f
}

func (f *fan) packets(batch []Packet) {
	for i := range batch {
		p := &batch[i]
		f.lanes[f.choose(p)].add(p)
	}
}

// choose scales the hash to the number of workers by its high bits.
func (f *fan) choose(p *Packet) uint64 {
	worker, _ := bits.Mul64(f.spread(p), uint64(len(f.lanes)))
	return worker
}

func (f *fan) tick(now Timestamp) {
	for _, l := range f.lanes {
		l.tick(now)
	}
}

func (f *fan) flush() {
	for _, l := range f.lanes {
		l.flush()
	}
}

func (f *fan) close(cause error) {
	for _, l := range f.lanes {
		l.flush()
		l.cause = cause
		close(l.full)
	}
	f.done.Wait()
}

// lane is the queue of one worker. Parcels circulate: full ones go to the
// worker, which sends them back empty.
type lane struct {
	full, empty chan *parcel
	filling     *parcel // by the reader
	cause       error   // set before full is closed
}

// parcel is a batch with its own bytes, and what comes after it.
type parcel struct {
	packets []Packet
	bytes   []byte // what packets[…].Data points to
	ticks   []Timestamp
}

// newLane allocates all parcels a lane ever has.
func newLane() *lane {
	l := &lane{
		full:  make(chan *parcel, parcelsQueued),
		empty: make(chan *parcel, parcelsQueued),
	}
	for range parcelsQueued {
		l.empty <- &parcel{
			packets: make([]Packet, 0, parcelPackets),
			bytes:   make([]byte, 0, parcelBytes),
			ticks:   make([]Timestamp, 0, 1),
		}
	}
	l.filling = <-l.empty
	return l
}

// add copies a packet into the parcel at hand, or into the next one where it
// does not fit.
func (l *lane) add(p *Packet) {
	if !l.filling.fits(p) {
		l.flush()
	}
	l.filling.add(p)
}

// tick sends a tick after the packets.
func (l *lane) tick(now Timestamp) {
	l.filling.ticks = append(l.filling.ticks, now)
	l.flush()
}

// flush sends the parcel at hand if there is anything in it, and waits for an
// empty one.
func (l *lane) flush() {
	if len(l.filling.packets) == 0 && len(l.filling.ticks) == 0 {
		return
	}
	l.full <- l.filling
	l.filling = <-l.empty
}

// run hands parcels to the worker until the lane is closed.
func (l *lane) run(worker Handler) {
	for p := range l.full {
		if len(p.packets) > 0 {
			worker.HandlePackets(p.packets)
		}
		for _, now := range p.ticks {
			worker.Tick(now)
		}
		p.clear()
		l.empty <- p
	}
	worker.Close(l.cause)
}

// fits reports whether a packet has room. One that is longer than all the room
// of a parcel fits an empty one, which grows.
func (p *parcel) fits(packet *Packet) bool {
	return len(p.packets) < parcelPackets &&
		(len(p.packets) == 0 || len(p.bytes)+len(packet.Data) <= parcelBytes)
}

// add copies a packet. The bytes never move while packets point to them: they
// grow in an empty parcel only.
func (p *parcel) add(packet *Packet) {
	start := len(p.bytes)
	p.bytes = append(p.bytes, packet.Data...)
	p.packets = append(p.packets, *packet)
	p.packets[len(p.packets)-1].Data = p.bytes[start:len(p.bytes):len(p.bytes)]
}

// clear empties the parcel. It keeps room for the longest packet of a capture
// file and gives back what grew beyond.
func (p *parcel) clear() {
	p.packets = p.packets[:0]
	p.ticks = p.ticks[:0]
	if cap(p.bytes) > 2*maxPacket {
		p.bytes = make([]byte, 0, parcelBytes)
	}
	p.bytes = p.bytes[:0]
}
