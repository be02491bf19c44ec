package tls

import "flowscope/session"

const (
	alertSize = 2
	// maxAlerts is how many alerts of one handshake are published.
	maxAlerts = 8
)

// plainAlert reads an alert (RFC 8446 section 6, RFC 5246 section 7.2). In TLS
// 1.3 the level means nothing: all but two end the connection.
func (p *parser) plainAlert(side session.Side, b []byte, out *session.Output) {
	level, description := b[0], b[1]
	t := &p.scratch.text
	t.reset()
	m := &p.scratch.alert
	*m = Alert{Level: t.number(levelName(level), uint64(level)), Description: t.number(alertName(description), uint64(description))}
	p.emitAlert(m, side, out)
	fatal := level == levelFatal || is13(p.version) && description != alertCloseNotify && description != alertUserCanceled
	if fatal {
		p.alertReadable, p.alert = true, description
		p.fail(side, out)
	}
}

func levelName(level uint8) string {
	switch level {
	case levelWarning:
		return "warning"
	case levelFatal:
		return "fatal"
	}
	return ""
}

// sealedAlert notes an alert that is encrypted; before the handshake is over it
// is taken for its end.
func (p *parser) sealedAlert(side session.Side, out *session.Output) {
	m := &p.scratch.alert
	*m = Alert{Encrypted: true}
	p.emitAlert(m, side, out)
	p.fail(side, out)
}

func (p *parser) emitAlert(m *Alert, side session.Side, out *session.Output) {
	if p.alerts++; p.alerts > maxAlerts {
		p.alerts = maxAlerts
		return
	}
	out.EmitWith(session.Emission{Message: m, Side: side, Start: p.start(p.sides[side].recordStart, out)})
}

// fail ends the handshake by an alert.
func (p *parser) fail(side session.Side, out *session.Output) {
	p.hasAlert, p.alertSide = true, side
	p.finish(out, OutcomeFailed, false)
}
