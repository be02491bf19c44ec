package syslog

import (
	"bytes"

	"flowscope/session"
)

// Probe implements session.Factory. A priority and, after it, the version of RFC
// 5424 or a time is syslog on any port; on the configured ones a priority is
// enough, and over UDP a text without one is left to the port.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	known := s.OnPort(&f.description)
	if s.Transport == session.UDP {
		v := probeMessage(s.Data, known, known)
		if v == session.More && !known {
			return session.No // there is no more of it
		}
		return v
	}
	data := s.Data
	if s.Side == session.Responder && !s.Midstream {
		data = s.Other // loggers talk, collectors listen
	}
	switch {
	case len(data) == 0:
		return session.No
	case s.Midstream:
		start, found := nextMessage(data)
		if !known {
			return session.No
		} else if !found {
			return text(data)
		}
		data = data[start:]
	}
	head, _, more := count(data)
	if more {
		return session.More
	}
	if v := probeMessage(data[head:], known, false); v != session.More || len(data) < 64 {
		return v
	}
	return session.No
}

// probeMessage judges the beginning of a message; whole says that there is no
// more of it.
func probeMessage(b []byte, known, whole bool) session.Verdict {
	_, n := priority(b)
	switch {
	case n > 0 && known:
		return text(b[n:min(len(b), n+16)]) // More is for nothing that is text
	case n > 0:
		rest := b[n:]
		if bytes.HasPrefix(rest, []byte("1 ")) && len(rest) > 12 && bytes.Count(rest, []byte(" ")) >= 3 || timestamp(rest) > 0 {
			return session.Match
		}
		if len(rest) < 32 && !whole && text(rest) != session.No {
			return session.More
		}
		return session.No
	case whole && len(b) > 0 && b[0] != '<' && text(b) != session.No:
		return session.More // the port decides
	case !whole && len(b) < 5 && (len(b) == 0 || b[0] == '<'):
		return session.More
	default:
		return session.No
	}
}

// text says Match for what could be text, No otherwise.
func text(b []byte) session.Verdict {
	for i, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && !(c == 0 && i == len(b)-1) || c == 0x7f {
			return session.No
		}
	}
	return session.Match
}
