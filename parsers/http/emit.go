package http

import "flowscope/session"

// emit publishes a message.
func (p *parser) emit(side session.Side, s *stream, m *message, truncated bool, out *session.Output) {
	truncated = truncated || m.head.cut || s.missing > 0
	e := session.Emission{Side: side, Truncated: truncated}
	if s.start != out.Now() {
		e.Start = s.start
	}
	if m.head.response {
		e.Truncated = p.fillResponse(s, m, out) || truncated
		e.Message = &p.shared.scratch.response
	} else {
		e.Truncated = p.fillRequest(s, m, out) || truncated
		e.Message = &p.shared.scratch.request
	}
	out.EmitWith(e)
}

func (p *parser) fillRequest(s *stream, m *message, out *session.Output) (cut bool) {
	r := &p.shared.scratch.request
	cut = p.fill(&r.Message, s, m, out)
	r.Method, r.Target = str(m.head.method.of(m.base)), str(m.head.target.of(m.base))
	r.Host = m.value(hostField)
	r.UserAgent = m.value(userAgentField)
	r.Referer = m.value(refererField)
	return cut
}

func (p *parser) fillResponse(s *stream, m *message, out *session.Output) (cut bool) {
	sc := p.shared.scratch
	r := &sc.response
	cut = p.fill(&r.Message, s, m, out)
	r.Status, r.Reason = m.head.status, str(m.head.reason.of(m.base))
	r.Server = m.value(serverField)
	r.Location = m.value(locationField)
	r.Request, r.Elapsed, r.asked = nil, nil, false
	if m.asked != nil {
		sc.line, r.asked = m.asked.line(), m.asked.ascii
		r.Request = &sc.line
		cut = cut || m.asked.cut
		if sc.elapsed = int64(s.start - m.asked.start); sc.elapsed >= 0 {
			r.Elapsed = &sc.elapsed
		}
	}
	r.Interim = nil
	if len(s.interims) > 0 || s.cutInterims {
		r.Interim = p.fillInterims(s)
		cut = cut || s.cutInterims
		p.dropInterims(s)
	}
	return cut
}

// value returns the first field of a kind, "" if there is none.
func (m *message) value(kind fieldKind) string {
	n := m.head.first[kind]
	if n == 0 {
		return ""
	}
	f := &m.spans[n-1]
	return str(m.base[f.value:f.valueEnd])
}

// fill fills in what requests and responses have in common, and returns whether
// something was left out.
func (p *parser) fill(to *Message, s *stream, m *message, out *session.Output) (cut bool) {
	sc, h := p.shared.scratch, m.head
	to.ascii = h.ascii
	to.Version = str(h.version.of(m.base))
	to.ContentType = m.value(contentTypeField)
	to.ContentLength = nil
	if h.lengths.hasLength {
		to.length = h.lengths.length
		to.ContentLength = &to.length
	}
	sc.fields = headers(sc.fields, m.base, m.spans, p.shared.hidden, h.flaws&flawBareCR != 0)
	to.Headers, to.Trailers = sc.fields, nil
	to.BodySize, to.BodyMissing, to.Depth = s.size, s.missing, s.depth
	to.Body, to.BodyDecoded = nil, false
	if m.kept == nil {
		return false
	}
	if len(m.kept.tail) > 0 && s.state == inTrailers {
		to.Trailers = p.readTrailers(m, out)
	}
	if p.shared.config.BodyBytes > 0 {
		cut = p.fillBody(to, s, m)
	}
	return cut
}

// fillBody takes the body that was kept, unpacked if that is wanted.
func (p *parser) fillBody(to *Message, s *stream, m *message) (cut bool) {
	sc, c := p.shared.scratch, &p.shared.config
	to.Body = m.kept.body
	cut = uint64(len(to.Body)) < s.size
	if !c.DecodeBodies || len(to.Body) == 0 || m.head.first[contentEncodingField] == 0 {
		return cut
	}
	encoding := valueOf(m.head, m.base, m.spans, contentEncodingField)
	unpacked := sc.unpackers.unpack(sc.unpacked, to.Body, encoding, c.BodyBytes)
	if len(unpacked) == 0 {
		return cut
	}
	sc.unpacked = unpacked
	to.Body, to.BodyDecoded = unpacked, true
	return cut || len(unpacked) == c.BodyBytes
}

// fillInterims takes the interim responses that came before.
func (p *parser) fillInterims(s *stream) []Interim {
	sc := p.shared.scratch
	sc.interim, sc.interims = sc.interim[:0], sc.interims[:0]
	for i := range s.interims {
		x := &s.interims[i]
		from := len(sc.interims)
		list := headers(sc.interims[from:], x.base, x.spans, p.shared.hidden, x.head.flaws&flawBareCR != 0)
		sc.interims = append(sc.interims[:from:from], list...)
		sc.interim = append(sc.interim, Interim{
			Status: x.head.status, Reason: str(x.head.reason.of(x.base)),
			Headers: sc.interims[from:len(sc.interims):len(sc.interims)],
		})
	}
	return sc.interim
}
