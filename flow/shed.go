package flow

import "sync/atomic"

// MaxShedding is the highest level of Table.Shed: one flow in 256 is followed.
const MaxShedding = 8

// levelShift is where the level at a flow's beginning stands in its state.
const levelShift = 12

// recentShed is how many of the flows that were shed last are remembered, to count
// them.
const recentShed = 1 << 12

// shedding is how a table leaves out whole flows while what it makes cannot leave.
type shedding struct {
	level atomic.Uint32
	// recent holds tags of flows that were shed lately, each at a place that its
	// hash gives.
	recent [recentShed]uint32
}

// Shed has the table follow, of the flows that begin from now on, one in 2^level,
// up to MaxShedding; 0 is all of them. Which ones hangs on their addresses, ports
// and protocol alone, the innermost ones: on no seed, no time, no direction, no
// VLAN and no tunnel, so that all sensors and runs follow the same. What is
// followed at one level is followed at those below. Flows that have begun go on as
// they did. Any goroutine may call it; it costs one load per new flow.
//
// Of a flow that is not followed nothing is kept. Its packets are counted as
// ShedPacket, and the flow itself in Counters.FlowsShed. Once the level is lower, the
// next packet of one that still speaks begins it, in its middle.
func (t *Table) Shed(level uint32) { t.shedding.level.Store(min(level, MaxShedding)) }

// shed counts a packet that would begin a flow, if that is to be left out at a
// level above 0.
func (t *Table) shed(d *decoded, level uint32) bool {
	if d.key.sample()>>(64-level) == 0 {
		return false
	}
	t.counters.Packets[Handled] -= d.frames
	t.counters.Packets[ShedPacket] += d.frames
	if d.key.Proto == TCP && d.tcpFlags&(tcpSYN|tcpACK|tcpRST) != tcpSYN {
		return true
	}
	place, tag := &t.shedding.recent[d.hash%recentShed], uint32(d.hash>>32)|1
	if *place != tag {
		*place = tag
		t.counters.FlowsShed++
	}
	return true
}

// sampleSeed is no secret and never changes: what two sensors follow hangs on it.
// The constants are those of SplitMix64, and the first 64 bits behind the point of
// the square root of 3.
var sampleSeed = seed{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xbb67ae8584caa73b}

// sample returns the hash by which flows are chosen.
func (k *Key) sample() uint64 {
	tuple := *k
	tuple.Scope = 0
	return sampleSeed.hash(&tuple)
}

// Weight is for how many flows this one stands, itself included: of so many one was
// followed when it began.
func (f *Flow) Weight() int { return 1 << (f.state >> levelShift) }
