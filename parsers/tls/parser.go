package tls

import (
	"flowscope/session"
)

// half is the state of one side.
type half struct {
	// recordStart is when the first octet of the record at hand was seen,
	// messageStart the same of the message that is put together.
	recordStart, messageStart session.Timestamp
	// skip is how much of a record is passed over, drop how much of a message.
	skip, drop int
	// pending is how many octets were presented last and not read, record how
	// many the record is that they belong to, 0 if that is not known.
	pending, record int
	// assembled holds a message that is not complete: its header and what has
	// come of it. Borrowed from the worker's store.
	assembled []byte

	begun    bool // a record was read
	ccs      bool // ChangeCipherSpec was seen
	finished bool // Finished was, or what is taken for it
	app      bool // application data was
	hello    bool // a hello was
	chain    bool // a Certificate message was
	damaged  bool // octets are missing: where messages begin is not known
	missed   bool // messages may be missing
	unsure   bool // octets are missing: whether a record begins here is not known
	lost     bool // none did: the side is not read any more
	fin      bool
}

// parser is the state of one connection.
type parser struct {
	config  *Config
	scratch *scratch
	sides   [2]half
	first   session.Timestamp // when the first octet of the first hello was seen
	client  session.Side
	known   bool // client is
	done    bool // the summary is out

	version, suite, group uint16
	retried               bool
	again                 bool // the second ClientHello was seen
	resumed               bool // by what ServerHello says, later by what follows
	helloDone             bool
	ech, early            bool
	psk                   bool
	sealed                bool // the client sent encrypted records before ServerHello
	beyond                bool // and after it, whatever they are
	hasJA3, hasJA3S       bool
	hasAlert              bool // an alert ended it
	alertReadable         bool // and was not encrypted
	alert                 uint8
	alertSide             session.Side
	alerts                uint8
	idLen                 uint8
	id                    [32]byte
	ja3, ja3s             [16]byte
	ja4                   [ja4Len]byte
	sni, alpn             []byte
}

var (
	_ session.SessionParser = (*parser)(nil)
	_ session.GapHandler    = (*parser)(nil)
	_ session.FinHandler    = (*parser)(nil)
	_ session.RstHandler    = (*parser)(nil)
	_ session.Closer        = (*parser)(nil)
	_ session.Resetter      = (*parser)(nil)
)

// keptText is how much memory for names a parser keeps for its next connection.
const keptText = 256

// Reset implements session.Resetter.
func (p *parser) Reset() {
	p.release(session.Initiator)
	p.release(session.Responder)
	sni, alpn := p.sni[:0], p.alpn[:0]
	if cap(sni) > keptText {
		sni = nil
	}
	if cap(alpn) > keptText {
		alpn = nil
	}
	*p = parser{config: p.config, scratch: p.scratch, sni: sni, alpn: alpn}
}

// release gives the memory of a message back that will not be completed.
func (p *parser) release(side session.Side) {
	s := &p.sides[side]
	p.scratch.put(s.assembled)
	s.assembled, s.messageStart, s.drop = nil, 0, 0
}

// FeedInitiator implements session.SessionParser.
func (p *parser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.feed(session.Initiator, data, out)
}

// FeedResponder implements session.SessionParser.
func (p *parser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.feed(session.Responder, data, out)
}

// Gap implements session.GapHandler: within one record the side goes on behind
// it; otherwise what follows is judged when it comes.
func (p *parser) Gap(side session.Side, n int, _ *session.Output) session.GapAction {
	s := &p.sides[side]
	if n > 0 && n <= s.skip {
		s.skip -= n
		return session.Continue
	}
	rest := s.record - s.pending
	p.release(side)
	s.recordStart, s.record, s.pending, s.skip = 0, 0, 0, 0
	s.damaged, s.missed = true, true
	if n > 0 && n <= rest {
		s.skip = rest - n
		return session.Continue
	}
	s.unsure = true
	return session.Continue
}

// Fin implements session.FinHandler.
func (p *parser) Fin(side session.Side, _ []byte, out *session.Output) error {
	p.sides[side].fin = true
	if !p.sides[side.Opposite()].fin {
		return nil
	}
	p.finish(out, OutcomeClosed, false)
	return session.ErrDone
}

// Rst implements session.RstHandler.
func (p *parser) Rst(_ session.Side, out *session.Output) { p.finish(out, OutcomeReset, true) }

// Close implements session.Closer.
func (p *parser) Close(reason session.Reason, out *session.Output) {
	outcome := OutcomeClosed
	switch {
	case p.sides[0].lost || p.sides[1].lost:
		outcome = OutcomeGap
	case reason == session.Idle:
		outcome = OutcomeTimeout
	case reason == session.EndOfInput || reason == session.Shutdown || reason == session.Evicted:
		outcome = OutcomeCutOff
	case reason == session.Rst:
		outcome = OutcomeReset
	}
	p.finish(out, outcome, false)
}

// check ends the handshake if both sides have finished. Of a side that is lost,
// the other's application data tell that it has.
func (p *parser) check(out *session.Output) {
	c, s := &p.sides[p.client], &p.sides[p.client.Opposite()]
	switch {
	case !p.known || p.done:
		return
	case is13(p.version):
		if !s.hello || !c.finished {
			return
		}
	case c.lost && s.lost || !c.lost && !c.finished || !s.lost && !s.finished:
		return
	case c.lost && !s.app || s.lost && !c.app:
		return
	}
	p.finish(out, OutcomeEstablished, false)
}

// finish emits the summary, once.
func (p *parser) finish(out *session.Output, outcome string, truncated bool) {
	if p.done {
		return
	}
	p.done = true
	if outcome != OutcomeFailed && outcome != OutcomeMalformed && is13(p.version) && p.early && p.beyond {
		outcome = OutcomeEstablished // with a Finished that is not of its usual size
	}
	if p.first == 0 {
		p.first = out.Now()
	}
	t := &p.scratch.text
	t.reset()
	m := &p.scratch.handshake
	*m = Handshake{
		Outcome: outcome, SNI: borrowed(p.sni), ALPN: borrowed(p.alpn), ECH: p.ech,
		SessionResumed: p.resumed, Retried: p.retried, EarlyData: p.early,
		ClientCertificate: p.known && p.sides[p.client].chain,
		Elapsed:           max(0, int64(out.Now()-p.first)),
	}
	if p.hasAlert {
		m.AlertSide = p.alertSide.String()
		if p.alertReadable {
			m.Alert = t.number(alertName(p.alert), uint64(p.alert))
		}
	}
	if p.version != 0 {
		m.Version = t.version(p.version)
	}
	if p.sides[0].hello && p.sides[1].hello || p.suite != 0 {
		m.CipherSuite = t.suite(p.suite)
	}
	if p.group != 0 {
		m.KeyShareGroup = t.group(p.group)
	}
	if p.hasJA3 {
		m.JA3, m.JA4 = t.hex(p.ja3[:]), borrowed(p.ja4[:])
	}
	if p.hasJA3S {
		m.JA3S = t.hex(p.ja3s[:])
	}
	out.EmitWith(session.Emission{Message: m, Side: p.client, Start: p.start(p.first, out), Truncated: truncated})
	p.release(session.Initiator)
	p.release(session.Responder)
}

// start is the start of a message whose first octet was seen then: 0 if it took
// one packet.
func (*parser) start(first session.Timestamp, out *session.Output) session.Timestamp {
	if first == 0 || first >= out.Now() {
		return 0
	}
	return first
}
