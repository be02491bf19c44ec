package meter

import (
	"bytes"
	"flowscope/session"
	"fmt"
)

// Config holds the protocol's own options.
type Config struct {
	// MaxWaiting is how many readings of a flow may wait for their ack. Default 64.
	MaxWaiting int `yaml:"max_waiting" comment:"Readings of one flow that may wait for their ack."`
}

// Factory makes parsers for TCP and UDP.
type Factory struct {
	protocol session.Protocol
	config   Config
}

var (
	_ session.SessionParserFactory  = (*Factory)(nil)
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.Configurable          = (*Factory)(nil)
)

// New returns the factory with the default options.
func New() *Factory { return newFactory(Config{MaxWaiting: 64}) }

func newFactory(c Config) *Factory {
	return &Factory{session.Protocol{
		Name: "meter", Title: "Electricity meters",
		Transports: []session.Transport{session.TCP, session.UDP}, Ports: []uint16{4321},
		Messages: []session.Message{new(Reading), new(Ack)},
	}, c}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.protocol }

// Probe implements session.Factory.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	n := min(len(s.Data), len(magic))
	switch {
	case !bytes.Equal(s.Data[:n], magic[:n]):
		return session.No
	case len(s.Data) <= len(magic):
		return session.More
	case s.Data[len(magic)] != typeReading && s.Data[len(magic)] != typeAck:
		return session.No
	}
	return session.Match
}

// NewSessionParser implements session.SessionParserFactory.
func (f *Factory) NewSessionParser() session.SessionParser { return f.newParser() }

// NewDatagramParser implements session.DatagramParserFactory.
func (f *Factory) NewDatagramParser() session.DatagramParser { return f.newParser() }

func (f *Factory) newParser() *parser { return &parser{maxWaiting: f.config.MaxWaiting} }

// Config implements session.Configurable.
func (f *Factory) Config() any {
	c := f.config
	return &c
}

// WithConfig implements session.Configurable.
func (f *Factory) WithConfig(cfg any) (session.Factory, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("meter: options are a %T", cfg)
	}
	return newFactory(*c), nil
}
