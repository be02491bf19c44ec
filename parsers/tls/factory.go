package tls

import (
	"fmt"

	"flowscope/session"
)

// malformed and oversized are the anomalies of the protocol.
var (
	malformed = session.AnomalyType{
		Name:      "tls_malformed",
		Severity:  session.Warning,
		Meaning:   "a TLS handshake message does not follow its format; what could be read of it is published",
		Reference: "RFC 8446 section 4",
	}
	oversized = session.AnomalyType{
		Name:      "tls_oversized",
		Severity:  session.Info,
		Meaning:   "a TLS handshake message is larger than what is read; it was passed over",
		Reference: "RFC 8446 section 4",
	}
)

// Factory makes parsers of TLS. The parsers of one factory are used by one
// goroutine; PerWorker makes a factory for another.
type Factory struct {
	description session.Protocol
	config      Config
	scratch     *scratch // of this worker's parsers; used by one call at a time
}

var (
	_ session.SessionParserFactory = (*Factory)(nil)
	_ session.Configurable         = (*Factory)(nil)
	_ session.PerWorker            = (*Factory)(nil)
)

// New returns the factory of protocol tls with the default options.
func New() *Factory { return newFactory(DefaultConfig()) }

func newFactory(c Config) *Factory {
	return &Factory{
		description: session.Protocol{
			Name:       "tls",
			Title:      "Transport Layer Security",
			Transports: []session.Transport{session.TCP},
			Ports:      []uint16{443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 8443},
			PortsHelp:  "Ports on which TLS is tried first; content decides on all.",
			Resyncs:    true, // a side may begin with its hello all the same
			Buffer:     recordHeader + max(maxRecord, maxSSL2Record),
			Messages: []session.Message{
				new(ClientHello), new(HelloRetryRequest), new(ServerHello), new(CertificateMessage), new(Alert), new(Handshake),
			},
			Anomalies: []*session.AnomalyType{&malformed, &oversized},
		},
		config:  c,
		scratch: new(scratch),
	}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.description }

// NewSessionParser implements session.SessionParserFactory.
func (f *Factory) NewSessionParser() session.SessionParser {
	return &parser{config: &f.config, scratch: f.scratch}
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
		return nil, fmt.Errorf("tls: options are a %T, want a *tls.Config", cfg)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return newFactory(*c), nil
}
