package http

import (
	"fmt"
	"slices"
	"strings"

	"flowscope/session"
)

// protocol is what the parsers of one factory share.
type protocol struct {
	config  Config
	hidden  uint32 // a bit for each kind of field that is not published
	scratch *scratch
	keeper  *keeper
}

// scratch is the memory for the message at hand.
type scratch struct {
	decoder
	trailers  decoder
	request   Request
	response  Response
	line      RequestLine
	elapsed   int64
	fields    []Header
	trailing  []Header
	interim   []Interim
	interims  []Header
	unpacked  []byte
	unpackers unpackers
}

func newProtocol(c Config) *protocol {
	p := &protocol{config: c}
	for _, kind := range secretNames {
		p.hidden |= 1 << kind
	}
	for _, s := range c.Secrets {
		p.hidden &^= 1 << secretNames[strings.ToLower(s)]
	}
	return p.perWorker()
}

// perWorker returns a copy with scratch memory of its own.
func (p *protocol) perWorker() *protocol {
	own := *p
	own.scratch = new(scratch)
	own.scratch.decoder.maxFields = p.config.MaxHeaders
	own.scratch.trailers.maxFields = p.config.MaxHeaders
	own.keeper = &keeper{max: p.config.MaxMemory}
	return &own
}

// Factory makes parsers of HTTP/1. The parsers of one factory are used by one
// goroutine; PerWorker makes a factory for another.
type Factory struct {
	description session.Protocol
	shared      *protocol
}

var (
	_ session.SessionParserFactory = (*Factory)(nil)
	_ session.Configurable         = (*Factory)(nil)
	_ session.PerWorker            = (*Factory)(nil)
)

// New returns the factory of protocol http with the default options.
func New() *Factory { return newFactory(DefaultConfig()) }

func newFactory(c Config) *Factory {
	return &Factory{
		description: session.Protocol{
			Name:       "http",
			Title:      "Hypertext Transfer Protocol, versions 1.0 and 1.1",
			Transports: []session.Transport{session.TCP},
			Ports:      []uint16{80, 8080, 8000, 8008, 8888, 3128, 5985},
			PortsHelp:  "Ports on which HTTP is tried first, and on which what is picked up in its middle is taken for HTTP; its messages are recognised on all others too.",
			Resyncs:    true,
			Messages:   []session.Message{new(Request), new(Response)},
			Anomalies:  anomalies(),
		},
		shared: newProtocol(c),
	}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.description }

// NewSessionParser implements session.SessionParserFactory.
func (f *Factory) NewSessionParser() session.SessionParser { return newParser(f.shared) }

// PerWorker implements session.PerWorker.
func (f *Factory) PerWorker() session.Factory {
	own := *f
	own.shared = f.shared.perWorker()
	return &own
}

// Config implements session.Configurable; it returns a *Config.
func (f *Factory) Config() any {
	c := f.shared.config.clone()
	return &c
}

// WithConfig implements session.Configurable; it takes a *Config.
func (f *Factory) WithConfig(cfg any) (session.Factory, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("http: options are a %T, want a *http.Config", cfg)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	return newFactory(c.clone()), nil
}

func (c *Config) clone() Config {
	own := *c
	own.Secrets = slices.Clone(c.Secrets)
	return own
}
