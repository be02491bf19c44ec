package syslog

import (
	"flowscope/session"
)

// malformed is the protocol's anomaly.
var malformed = session.AnomalyType{
	Name:      "syslog_malformed",
	Severity:  session.Warning,
	Meaning:   "a message that claims to be of RFC 5424 does not follow it; it is read as of RFC 3164",
	Reference: "RFC 5424 section 6",
}

// Factory makes parsers of syslog. The parsers of one factory are used by one
// goroutine; PerWorker makes a factory for another.
type Factory struct {
	description session.Protocol
	scratch     *scratch
}

var (
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.SessionParserFactory  = (*Factory)(nil)
	_ session.PerWorker             = (*Factory)(nil)
)

// New returns the factory of protocol syslog.
func New() *Factory {
	return &Factory{
		description: session.Protocol{
			Name:        "syslog",
			Title:       "Syslog",
			Transports:  []session.Transport{session.UDP, session.TCP},
			Ports:       []uint16{514, 601},
			PortsHelp:   "Ports on which a priority is enough, and over UDP any text; on others a message must begin in one of the two formats.",
			PortDecides: true,
			Resyncs:     true,
			Messages:    []session.Message{new(Message)},
			Anomalies:   []*session.AnomalyType{&malformed},
		},
		scratch: new(scratch),
	}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.description }

// NewDatagramParser implements session.DatagramParserFactory.
func (f *Factory) NewDatagramParser() session.DatagramParser { return &datagrams{scratch: f.scratch} }

// NewSessionParser implements session.SessionParserFactory.
func (f *Factory) NewSessionParser() session.SessionParser { return &stream{scratch: f.scratch} }

// PerWorker implements session.PerWorker.
func (f *Factory) PerWorker() session.Factory {
	own := *f
	own.scratch = new(scratch)
	return &own
}
