package integration

import (
	"net/netip"
	"strings"

	"flowscope/flow"
	"flowscope/parsers/dns"
	"flowscope/session"
)

// dnsMessage is one query or response that stood in a packet.
type dnsMessage struct {
	*dns.Message
	event *session.SessionEvent
	flow  *flowRecord
	// response tells responses from queries; rtt is nil where unknown.
	response bool
	rtt      *int64
}

// dnsMessages returns what was on the wire: all queries and responses.
func dnsMessages(rec *recording) []*dnsMessage {
	var messages []*dnsMessage
	for _, f := range rec.flows {
		for _, ev := range f.events {
			m := &dnsMessage{event: ev, flow: f}
			switch msg := ev.Message.(type) {
			case *dns.Query:
				m.Message = &msg.Message
			case *dns.Response:
				m.Message, m.response, m.rtt = &msg.Message, true, msg.RTT
			default:
				continue
			}
			messages = append(messages, m)
		}
	}
	return messages
}

// sender and receiver are the ends of the packet that carried the message.
func (m *dnsMessage) sender() netip.AddrPort {
	if m.event.Side == flow.Initiator {
		return m.flow.info.Src
	}
	return m.flow.info.Dst
}

func (m *dnsMessage) receiver() netip.AddrPort {
	if m.event.Side == flow.Initiator {
		return m.flow.info.Dst
	}
	return m.flow.info.Src
}

// question returns the first question, empty where there is none.
func (m *dnsMessage) question() dns.Question {
	if len(m.Questions) == 0 {
		return dns.Question{}
	}
	return m.Questions[0]
}

// records returns those of all sections.
func (m *dnsMessage) records() []dns.Record {
	var all []dns.Record
	all = append(all, m.Answers...)
	all = append(all, m.Authorities...)
	return append(all, m.Additionals...)
}

// flags returns the names of the header's flags that are set.
func (m *dnsMessage) flags() []string {
	var names []string
	for _, f := range []struct {
		set  bool
		name string
	}{{m.AA, "AA"}, {m.TC, "TC"}, {m.RD, "RD"}, {m.RA, "RA"}, {m.AD, "AD"}, {m.CD, "CD"}} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}

// rcode returns the response code; queries have none but NOERROR.
func (m *dnsMessage) rcode() string {
	if m.Rcode == "" {
		return "NOERROR"
	}
	return m.Rcode
}

// unquoted returns the text of resource data that consists of quoted strings.
func unquoted(data string) string {
	return strings.ReplaceAll(strings.Trim(data, `"`), `" "`, "")
}
