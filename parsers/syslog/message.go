package syslog

import (
	"flowscope/session"
	"flowscope/session/pack"
)

// Message is one syslog message.
type Message struct {
	// Format is rfc5424 or rfc3164.
	Format string `msgpack:"format"`
	// Priority is 8 times the facility plus the severity; nil if there is none,
	// as are their names then.
	Priority *uint8 `msgpack:"priority,omitempty"`
	// Facility is kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron,
	// authpriv, ftp, ntp, audit, alert, clock, local0 … local7.
	Facility string `msgpack:"facility,omitempty"`
	// Severity is emerg, alert, crit, err, warning, notice, info or debug.
	Severity string `msgpack:"severity,omitempty"`
	// Timestamp, Hostname, AppName, ProcID and MsgID are as sent; in the old
	// format AppName is the tag.
	Timestamp string `msgpack:"timestamp,omitempty"`
	Hostname  string `msgpack:"hostname,omitempty"`
	AppName   string `msgpack:"app_name,omitempty"`
	ProcID    string `msgpack:"proc_id,omitempty"`
	MsgID     string `msgpack:"msg_id,omitempty"`
	// StructuredData is that of RFC 5424 section 6.3.
	StructuredData []Element `msgpack:"structured_data,omitempty"`
	// Text is the message itself, without byte order mark, and without line
	// feeds, carriage returns and NULs at its end.
	Text string `msgpack:"text,omitempty"`
	// Size is the length of the message in bytes, without its framing.
	Size int `msgpack:"size"`
}

// Element is one element of structured data.
type Element struct {
	// ID is the SD-ID.
	ID string `msgpack:"id"`
	// Params are the parameters in order.
	Params []Param `msgpack:"params,omitempty"`
}

// Param is one parameter of an element.
type Param struct {
	// Name is the PARAM-NAME.
	Name string `msgpack:"name"`
	// Value is the PARAM-VALUE without escapes.
	Value string `msgpack:"value"`
}

var _ session.Message = (*Message)(nil)

// Kind implements session.Message.
func (*Message) Kind() string { return "message" }

// AppendMsgpack implements session.Message.
func (m *Message) AppendMsgpack(b []byte) []byte {
	p := pack.BeginMap(b)
	p.String("format", m.Format)
	if m.Priority != nil {
		p.Uint("priority", uint64(*m.Priority))
	}
	appendText(&p, "facility", m.Facility)
	appendText(&p, "severity", m.Severity)
	appendText(&p, "timestamp", m.Timestamp)
	appendText(&p, "hostname", m.Hostname)
	appendText(&p, "app_name", m.AppName)
	appendText(&p, "proc_id", m.ProcID)
	appendText(&p, "msg_id", m.MsgID)
	if len(m.StructuredData) > 0 {
		p.Key("structured_data")
		p.B = pack.ArrayHeader(p.B, len(m.StructuredData))
		for i := range m.StructuredData {
			p.B = m.StructuredData[i].append(p.B)
		}
	}
	appendText(&p, "text", m.Text)
	p.Int("size", int64(m.Size))
	return p.End()
}

func (e *Element) append(b []byte) []byte {
	p := pack.BeginMap(b)
	p.Key("id")
	p.B = pack.TextString(p.B, e.ID)
	if len(e.Params) > 0 {
		p.Key("params")
		p.B = pack.ArrayHeader(p.B, len(e.Params))
		for _, param := range e.Params {
			p.B = pack.MapHeader(p.B, 2)
			p.B = pack.TextString(pack.String(p.B, "name"), param.Name)
			p.B = pack.TextString(pack.String(p.B, "value"), param.Value)
		}
	}
	return p.End()
}

func appendText(p *pack.Map, key, v string) {
	if v != "" {
		p.Key(key)
		p.B = pack.TextString(p.B, v)
	}
}
