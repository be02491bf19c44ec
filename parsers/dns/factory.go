package dns

import (
	"fmt"
	"hash/maphash"

	"flowscope/session"
)

// malformed is the anomaly of all three protocols.
var malformed = session.AnomalyType{
	Name:      "dns_malformed",
	Severity:  session.Warning,
	Meaning:   "a DNS message does not follow its format; what could be read of it is published",
	Reference: "RFC 1035 section 4.1",
}

// The ports of the multicast protocols.
const (
	mdnsPort  = 5353
	llmnrPort = 5355
)

// netbiosPort is the name service of NetBIOS over TCP/IP: the same header, other
// contents (RFC 1002 section 4.2).
const netbiosPort = 137

// protocol is what the parsers of one factory share. It never changes.
type protocol struct {
	config  Config
	pairing bool
	mdns    bool
	seed    uint64
	scratch *scratches // of this worker's parsers; used by one call at a time
}

// scratches are the memory for the message at hand, and for an old query that
// is reported while that one is being dealt with.
type scratches struct{ current, expired scratch }

func newProtocol(c Config, pairing, mdns bool) *protocol {
	return &protocol{
		config:  c,
		pairing: pairing,
		mdns:    mdns,
		seed:    maphash.Comparable(maphash.MakeSeed(), 0) | 1,
		scratch: new(scratches),
	}
}

// perWorker returns a copy with scratch memory of its own.
func (p *protocol) perWorker() *protocol {
	own := *p
	own.scratch = new(scratches)
	return &own
}

// Factory makes parsers of unicast DNS. The parsers of one factory are used by
// one goroutine; PerWorker makes a factory for another.
type Factory struct {
	description session.Protocol
	shared      *protocol
}

var (
	_ session.DatagramParserFactory = (*Factory)(nil)
	_ session.SessionParserFactory  = (*Factory)(nil)
	_ session.Configurable          = (*Factory)(nil)
	_ session.PerWorker             = (*Factory)(nil)
	_ session.DatagramParserFactory = (*MulticastFactory)(nil)
	_ session.PerWorker             = (*MulticastFactory)(nil)
)

// New returns the factory of protocol dns with the default options.
func New() *Factory { return newFactory(DefaultConfig()) }

func newFactory(c Config) *Factory {
	return &Factory{
		description: session.Protocol{
			Name:       "dns",
			Title:      "Domain Name System",
			Transports: []session.Transport{session.UDP, session.TCP},
			Ports:      []uint16{53},
			PortsHelp:  "Ports on which a damaged message is still taken for DNS; on others it must be flawless.",
			Resyncs:    true,
			Buffer:     streamBuffer,
			Messages:   []session.Message{new(Query), new(Response), new(Unanswered)},
			Anomalies:  []*session.AnomalyType{&malformed},
		},
		shared: newProtocol(c, true, false),
	}
}

// Protocol implements session.Factory.
func (f *Factory) Protocol() *session.Protocol { return &f.description }

// NewDatagramParser implements session.DatagramParserFactory.
func (f *Factory) NewDatagramParser() session.DatagramParser { return newParser(f.shared) }

// NewSessionParser implements session.SessionParserFactory.
func (f *Factory) NewSessionParser() session.SessionParser { return newStream(f.shared) }

// PerWorker implements session.PerWorker.
func (f *Factory) PerWorker() session.Factory {
	own := *f
	own.shared = f.shared.perWorker()
	return &own
}

// Config implements session.Configurable; it returns a *Config.
func (f *Factory) Config() any {
	c := f.shared.config
	return &c
}

// WithConfig implements session.Configurable; it takes a *Config.
func (f *Factory) WithConfig(cfg any) (session.Factory, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("dns: options are a %T, want a *dns.Config", cfg)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	return newFactory(*c), nil
}

// MulticastFactory makes parsers of mDNS or LLMNR. They have no options, and
// they do not pair queries with responses: those travel in different flows.
type MulticastFactory struct {
	description session.Protocol
	shared      *protocol
}

// NewMDNS returns the factory of protocol mdns (RFC 6762).
func NewMDNS() *MulticastFactory {
	return newMulticast("mdns", "Multicast DNS", mdnsPort, newProtocol(DefaultConfig(), false, true))
}

// NewLLMNR returns the factory of protocol llmnr (RFC 4795). In its messages aa
// is the conflict bit C and rd the tentative bit T of section 2.1.1.
func NewLLMNR() *MulticastFactory {
	return newMulticast("llmnr", "Link-Local Multicast Name Resolution", llmnrPort, newProtocol(DefaultConfig(), false, false))
}

func newMulticast(name, title string, port uint16, shared *protocol) *MulticastFactory {
	return &MulticastFactory{
		description: session.Protocol{
			Name:       name,
			Title:      title,
			Transports: []session.Transport{session.UDP},
			Ports:      []uint16{port},
			PortsHelp:  "Ports on which a plausible header is enough; on others nothing is taken for it.",
			Messages:   []session.Message{new(Query), new(Response)},
			Anomalies:  []*session.AnomalyType{&malformed},
		},
		shared: shared,
	}
}

// Protocol implements session.Factory.
func (f *MulticastFactory) Protocol() *session.Protocol { return &f.description }

// NewDatagramParser implements session.DatagramParserFactory.
func (f *MulticastFactory) NewDatagramParser() session.DatagramParser { return newParser(f.shared) }

// PerWorker implements session.PerWorker.
func (f *MulticastFactory) PerWorker() session.Factory {
	own := *f
	own.shared = f.shared.perWorker()
	return &own
}
