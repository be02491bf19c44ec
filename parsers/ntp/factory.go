package ntp

import (
	"flowscope/session"
)

// malformed is the protocol's anomaly.
var malformed = session.AnomalyType{
	Name:      "ntp_malformed",
	Severity:  session.Warning,
	Meaning:   "an NTP message does not follow its format; its header is published if it is whole",
	Reference: "RFC 5905 section 7.3",
}

// Factory makes parsers of NTP. The parsers of one factory are used by one
// goroutine; PerWorker makes a factory for another.
type Factory struct {
	description session.Protocol
	scratch     *scratch
}

var (
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.PerWorker             = (*Factory)(nil)
)

// New returns the factory of protocol ntp.
func New() *Factory {
	return &Factory{
		description: session.Protocol{
			Name:       "ntp",
			Title:      "Network Time Protocol",
			Transports: []session.Transport{session.UDP},
			Ports:      []uint16{123},
			PortsHelp:  "Ports on which a plausible header is enough; on others only an ordinary request or reply is taken for NTP.",
			Messages: []session.Message{
				new(Client), new(Server), new(SymmetricActive), new(SymmetricPassive), new(Broadcast),
				new(Control), new(Private), new(Reserved),
			},
			Anomalies: []*session.AnomalyType{&malformed},
		},
		scratch: new(scratch),
	}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.description }

// NewDatagramParser implements session.DatagramParserFactory.
func (f *Factory) NewDatagramParser() session.DatagramParser { return &parser{scratch: f.scratch} }

// PerWorker implements session.PerWorker.
func (f *Factory) PerWorker() session.Factory {
	own := *f
	own.scratch = new(scratch)
	return &own
}
