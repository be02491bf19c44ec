package syslog

import (
	"fmt"
	"slices"

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
	config      Config
	scratch     *scratch
}

var (
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.SessionParserFactory  = (*Factory)(nil)
	_ session.Configurable          = (*Factory)(nil)
	_ session.PerWorker             = (*Factory)(nil)
)

// New returns the factory of protocol syslog with the default options.
func New() *Factory { return newFactory(DefaultConfig()) }

func newFactory(c Config) *Factory {
	return &Factory{
		description: session.Protocol{
			Name:        "syslog",
			Title:       "Syslog",
			Transports:  []session.Transport{session.UDP, session.TCP},
			Ports:       c.Ports,
			PortDecides: true,
			Resyncs:     true,
			Messages:    []session.Message{new(Message)},
			Anomalies:   []*session.AnomalyType{&malformed},
		},
		config:  c,
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

// Config implements session.Configurable; it returns a *Config.
func (f *Factory) Config() any { return &Config{Ports: slices.Clone(f.config.Ports)} }

// WithConfig implements session.Configurable; it takes a *Config.
func (f *Factory) WithConfig(cfg any) (session.Factory, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("syslog: options are a %T, want a *syslog.Config", cfg)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("syslog: %w", err)
	}
	return newFactory(Config{Ports: slices.Clone(c.Ports)}), nil
}
