package flow

import (
	"fmt"
	"strings"
)

// maxHistory bounds a history, in letters. Only the letters of SYNs, FINs and
// RSTs with ever other numbers may be written without end; they are cut off there.
const maxHistory = 40

// History is a flow's packets as letters, in Zeek's manner, up to the first zero.
type History [maxHistory]byte

// String returns the letters.
func (h *History) String() string {
	n := 0
	for n < len(h) && h[n] != 0 {
		n++
	}
	return string(h[:n])
}

// Append appends the letters.
func (h *History) Append(b []byte) []byte {
	for _, l := range h {
		if l == 0 {
			break
		}
		b = append(b, l)
	}
	return b
}

// ParseHistory is the reverse of String; what is too long is cut off.
func ParseHistory(letters string) (h History) {
	copy(h[:], letters)
	return h
}

func (c *conn) addHistory(letter byte) {
	if int(c.letters) < maxHistory {
		c.stats.History[c.letters] = letter
		c.letters++
	}
}

// Letters of which the first one of a side is noted in track.seen. Those in
// the second row are written once only.
const (
	seenSYN = iota
	seenFIN
	seenRST

	seenData
	seenACK
	seenMulti
	seenFINRST
	seenKinds
)

// letter returns it in capitals for the initiator, else small.
func letter(side Side, capital byte) byte {
	if side == Initiator {
		return capital
	}
	return capital | 0x20
}

// once writes a letter the first time, and says whether this was it.
func (c *conn) once(side Side, kind int, capital byte) bool {
	bit := uint16(1) << (kind + seenKinds*int(side))
	if c.seen&bit != 0 {
		return false
	}
	c.seen |= bit
	c.addHistory(letter(side, capital))
	return true
}

// again writes a letter whenever the number that belongs to it is another one
// than the last time.
func (c *conn) again(side Side, kind int, capital byte, last *uint32, number uint32) {
	if !c.once(side, kind, capital) && *last != number {
		c.addHistory(letter(side, capital))
	}
	*last = number
}

// scaled counts what happened and writes its letter at 1, 10, 100 …
func (c *conn) scaled(side Side, capital byte, count *uint32) {
	if *count++; powerOfTen(*count) {
		c.addHistory(letter(side, capital))
	}
}

func powerOfTen(n uint32) bool {
	for n%10 == 0 && n > 0 {
		n /= 10
	}
	return n == 1
}

// note writes the letter of a segment.
func (c *conn) note(d *decoded, side Side, length uint32) {
	e := &c.ends[side]
	const fin, syn, rst = tcpFIN, tcpSYN, tcpRST
	switch d.tcpFlags & (fin | syn | rst) {
	case 0:
		if length > 0 {
			c.once(side, seenData, 'D')
		} else if d.tcpFlags&tcpACK != 0 {
			c.once(side, seenACK, 'A')
		}
	case syn:
		capital := byte('S')
		if d.tcpFlags&tcpACK != 0 {
			capital = 'H'
		}
		c.again(side, seenSYN, capital, &e.lastSYN, d.seq)
	case fin:
		c.again(side, seenFIN, 'F', &e.lastFIN, d.seq+length)
	case rst:
		c.again(side, seenRST, 'R', &e.lastRST, d.seq)
	case fin | rst, fin | rst | syn:
		c.once(side, seenFINRST, 'I')
	default:
		c.once(side, seenMulti, 'Q')
	}
}

// PackedHistory is the history of a flow other than TCP in three bits per letter,
// the first one lowest.
type PackedHistory uint32

// packedLetters are those that it may hold.
const packedLetters = "DdCc"

// Append appends the letters.
func (h PackedHistory) Append(b []byte) []byte {
	for ; h != 0; h >>= 3 {
		if i := h & 7; i > 0 && int(i) <= len(packedLetters) {
			b = append(b, packedLetters[i-1])
		}
	}
	return b
}

// ParsePackedHistory is the reverse of Append; letters that it cannot hold are
// left out.
func ParsePackedHistory(letters string) (h PackedHistory) {
	for i := range len(letters) {
		if at := strings.IndexByte(packedLetters, letters[i]); at >= 0 {
			h.add(at)
		}
	}
	return h
}

func (h *PackedHistory) add(index int) {
	for shift := 0; shift < 30; shift += 3 {
		if *h>>shift&7 == 0 {
			*h |= PackedHistory(index+1) << shift
			return
		}
	}
}

// noteDatagram writes the letters of a datagram: the first of each side, and bad
// checksums at powers of ten.
func (s *Stats) noteDatagram(d *decoded, side Side, first bool) {
	if d.checksums&badTransport != 0 {
		if s.Sides[side].BadChecksums++; powerOfTen(s.Sides[side].BadChecksums) {
			s.History.add(2 + int(side))
		}
	}
	if first {
		s.History.add(int(side))
	}
}

// ConnState sums a flow other than TCP up.
func (s *Stats) ConnState(t Transport) ConnState {
	i, r := s.Sides[Initiator].Packets > 0, s.Sides[Responder].Packets > 0
	switch {
	case t != UDP:
		return ConnOTH
	case i && r:
		return ConnSF
	case i:
		return ConnS0
	case r:
		return ConnSHR
	default:
		return ConnOTH
	}
}

// ConnState is how a connection went, in Zeek's words.
type ConnState uint8

// The states; docs/events.md says what they mean.
const (
	ConnOTH ConnState = iota
	ConnS0
	ConnS1
	ConnSF
	ConnREJ
	ConnS2
	ConnS3
	ConnRSTO
	ConnRSTR
	ConnRSTOS0
	ConnRSTRH
	ConnSH
	ConnSHR
	numConnStates
)

var connStateNames = [numConnStates]string{
	"OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR",
}

// String returns the state as Zeek writes it.
func (s ConnState) String() string {
	if s < numConnStates {
		return connStateNames[s]
	}
	return "unknown"
}

// ConnStates returns the names of all states in the order of their values.
func ConnStates() []string { return connStateNames[:] }

// ParseConnState is the reverse of String.
func ParseConnState(name string) (ConnState, error) {
	for i, n := range connStateNames {
		if n == name {
			return ConnState(i), nil
		}
	}
	return 0, fmt.Errorf("unknown connection state %q", name)
}

// connState sums a connection up.
func (c *conn) connState() ConnState {
	o, r := &c.ends[Initiator], &c.ends[Responder]
	oSilent, rSilent := o.state == endSilent || o.state == endPartial, r.state == endSilent || r.state == endPartial
	switch {
	case r.state == endReset:
		switch {
		case o.state == endSYN || o.state == endSYNACK, o.state == endReset && o.size() == 0 && r.size() == 0:
			return ConnREJ
		case oSilent:
			return ConnRSTRH
		default:
			return ConnRSTR
		}
	case o.state == endReset:
		switch {
		case !rSilent:
			return ConnRSTO
		case c.stats.History.abandoned():
			return ConnRSTOS0
		default:
			return ConnOTH
		}
	case o.state == endFinished && r.state == endFinished:
		return ConnSF
	case o.state == endFinished:
		if rSilent {
			return ConnSH
		}
		return ConnS2
	case r.state == endFinished:
		if oSilent {
			return ConnSHR
		}
		return ConnS3
	case o.state == endSYN && r.state == endSilent:
		return ConnS0
	case o.state == endOpen && r.state == endOpen:
		return ConnS1
	default:
		return ConnOTH
	}
}

// size is how many bytes an end has sent, by its sequence numbers.
func (e *end) size() uint32 {
	if e.before == endSYN && e.state == endReset && e.ack == e.start {
		return 0
	}
	n := e.last - e.start
	if int32(e.ack-e.last) > 0 {
		n = e.ack - e.start
	}
	if n > 0 {
		n-- // SYN
	}
	if e.fins && n > 0 {
		n--
	}
	return n
}

// abandoned says that the initiator reset its own SYN before it did anything
// else.
func (h *History) abandoned() bool {
	b := h[:]
	if b[0] == '^' {
		b = b[1:]
	}
	if b[0] != 'S' {
		return false
	}
	for _, l := range b[1:] {
		switch l {
		case 'R':
			return true
		case 'H', 'A', 'F', 'G', 'I', 'Q':
			return false
		}
	}
	return false
}
