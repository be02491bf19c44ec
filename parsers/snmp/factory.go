package snmp

import (
	"fmt"

	"flowscope/session"
)

// malformed is the protocol's anomaly.
var malformed = session.AnomalyType{
	Name:      "snmp_malformed",
	Severity:  session.Warning,
	Meaning:   "an SNMP message does not follow its format; what could be read of it is published",
	Reference: "RFC 3417 section 8",
}

// Factory makes parsers of SNMP. The parsers of one factory are used by one
// goroutine; PerWorker makes a factory for another.
type Factory struct {
	description session.Protocol
	config      Config
	scratch     *scratch
}

var (
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.Configurable          = (*Factory)(nil)
	_ session.PerWorker             = (*Factory)(nil)
)

// New returns the factory of protocol snmp with the default options.
func New() *Factory { return newFactory(DefaultConfig()) }

func newFactory(c Config) *Factory {
	return &Factory{
		description: session.Protocol{
			Name:       "snmp",
			Title:      "Simple Network Management Protocol",
			Transports: []session.Transport{session.UDP},
			Ports:      []uint16{161, 162},
			PortsHelp:  "Ports on which a plausible beginning is enough; on others the message must be whole.",
			Messages: []session.Message{
				new(Get), new(GetNext), new(GetBulk), new(Set), new(Response), new(Trap), new(Inform), new(Report), new(Encrypted),
			},
			Anomalies: []*session.AnomalyType{&malformed},
		},
		config:  c,
		scratch: new(scratch),
	}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.description }

// NewDatagramParser implements session.DatagramParserFactory.
func (f *Factory) NewDatagramParser() session.DatagramParser {
	return &parser{scratch: f.scratch, communities: f.config.Communities}
}

// PerWorker implements session.PerWorker.
func (f *Factory) PerWorker() session.Factory {
	own := *f
	own.scratch = new(scratch)
	return &own
}

// Config implements session.Configurable; it returns a *Config.
func (f *Factory) Config() any {
	c := f.config
	return &c
}

// WithConfig implements session.Configurable; it takes a *Config.
func (f *Factory) WithConfig(cfg any) (session.Factory, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("snmp: options are a %T, want an *snmp.Config", cfg)
	}
	return newFactory(*c), nil
}
