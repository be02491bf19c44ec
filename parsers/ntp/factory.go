package ntp

import (
	"fmt"
	"slices"

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
	config      Config
	scratch     *scratch
}

var (
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.Configurable          = (*Factory)(nil)
	_ session.PerWorker             = (*Factory)(nil)
)

// New returns the factory of protocol ntp with the default options.
func New() *Factory { return newFactory(DefaultConfig()) }

func newFactory(c Config) *Factory {
	return &Factory{
		description: session.Protocol{
			Name:       "ntp",
			Title:      "Network Time Protocol",
			Transports: []session.Transport{session.UDP},
			Ports:      c.Ports,
			Messages: []session.Message{
				new(Client), new(Server), new(SymmetricActive), new(SymmetricPassive), new(Broadcast),
				new(Control), new(Private), new(Reserved),
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
func (f *Factory) NewDatagramParser() session.DatagramParser { return &parser{scratch: f.scratch} }

// PerWorker implements session.PerWorker.
func (f *Factory) PerWorker() session.Factory {
	own := *f
	own.scratch = new(scratch)
	return &own
}

// Config implements session.Configurable; it returns a *Config.
func (f *Factory) Config() any { return &Config{Ports: slices.Clone(f.config.Ports)} }

// WithConfig implements session.Configurable; it takes a *Config.
func (f *Factory) WithConfig(cfg any) (session.Factory, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("ntp: options are a %T, want an *ntp.Config", cfg)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("ntp: %w", err)
	}
	return newFactory(Config{Ports: slices.Clone(c.Ports)}), nil
}
