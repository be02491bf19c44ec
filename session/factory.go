package session

import (
	"slices"

	"flowscope/flow"
)

// Protocol describes a protocol to the registry, to detection and to users.
type Protocol struct {
	// Name is the protocol's token in subjects and configuration, [a-z0-9_]+.
	Name string
	// Title is for people: "Domain Name System".
	Title string
	// Transports lists what the protocol runs over.
	Transports []flow.Transport
	// Ports are the well-known ports, if configuration names no others. They
	// order the candidates; content decides.
	Ports []uint16
	// PortsHelp says in the configuration what the ports are for; "" stands for
	// a general text.
	PortsHelp string
	// PortDecides says that a flow on one of Ports is of this protocol although
	// its probe cannot tell: for protocols without a recognisable start. The
	// probe can still refuse.
	PortDecides bool
	// Resyncs says that the parsers find their way into a stream whose
	// beginning was not seen: such flows are probed too.
	Resyncs bool
	// Buffer is how many bytes per side the driver keeps for a stream parser
	// that did not consume them, if configuration does not say; 0 stands for
	// 64 KiB. A parser that needs more ends with reason buffer_overflow.
	Buffer int
	// Messages holds one value of each message type, for its kind and for
	// decoding: a pointer to the struct that carries the msgpack tags.
	Messages []Message
	// Anomalies lists what parsers of this protocol raise.
	Anomalies []*AnomalyType
}

// Kinds returns the kinds of all messages in the order of Messages.
func (p *Protocol) Kinds() []string {
	kinds := make([]string, len(p.Messages))
	for i, m := range p.Messages {
		kinds[i] = m.Kind()
	}
	return kinds
}

// Severity and AnomalyType are those of package flow, which raises anomalies of
// its own.
type (
	// Severity ranks anomalies.
	Severity = flow.Severity
	// AnomalyType describes one anomaly.
	AnomalyType = flow.AnomalyType
)

// The severities.
const (
	Info    = flow.SeverityInfo
	Warning = flow.SeverityWarning
	Error   = flow.SeverityError
)

// Verdict is the answer of a probe.
type Verdict uint8

// The verdicts.
const (
	No    Verdict = iota // not this protocol
	Match                // this protocol
	More                 // cannot say yet
)

// Sample is what a probe looks at.
type Sample struct {
	// Data is the payload: for datagrams one whole payload, for streams the
	// bytes of Side so far. Borrowed.
	Data []byte
	// Side is the side that sent it: for streams the one that sent last.
	Side flow.Side
	// Other is what the opposite side of a stream has sent so far. Borrowed.
	Other []byte
	// Midstream says that the beginning of the stream was not seen. Only
	// factories whose Protocol says Resyncs are asked then.
	Midstream bool
	// SrcPort and DstPort are the ports of the initiator and the responder.
	SrcPort, DstPort uint16
	// Transport is what carries it.
	Transport flow.Transport

	ports []uint16 // those of the protocol that is asked; nil: its own
}

// OnPort says that the flow uses a port of the protocol: one that is configured for
// it, or one of Protocol.Ports.
func (s *Sample) OnPort(p *Protocol) bool {
	ports := s.ports
	if ports == nil {
		ports = p.Ports
	}
	return slices.Contains(ports, s.DstPort) || slices.Contains(ports, s.SrcPort)
}

// Factory describes a protocol and recognises it. A factory also implements
// SessionParserFactory, DatagramParserFactory or both. Factories are used by
// several goroutines at once and never change after construction.
type Factory interface {
	// Protocol returns the description, the same pointer on every call.
	Protocol() *Protocol
	// Probe says whether a flow speaks this protocol. When both sides of a
	// stream have sent something it is asked from the view of the one that sent
	// last, and if it says No also from that of the other.
	Probe(s *Sample) Verdict
}

// SessionParserFactory makes parsers for stream flows.
type SessionParserFactory interface {
	Factory
	// NewSessionParser returns a fresh parser for one flow.
	NewSessionParser() SessionParser
}

// DatagramParserFactory makes parsers for datagram flows.
type DatagramParserFactory interface {
	Factory
	// NewDatagramParser returns a fresh parser for one flow.
	NewDatagramParser() DatagramParser
}

// Configurable is an optional ability of factories that have options of their
// own.
type Configurable interface {
	Factory
	// Config returns a pointer to a struct with yaml tags, other ones than those
	// of every protocol (enabled, ports, buffer), that holds the factory's present
	// options; it is a copy, to be changed and handed to
	// WithConfig. If it has a method Validate() error, that is called.
	Config() any
	// WithConfig returns a new factory with these options, whose parsers have the
	// same optional abilities.
	WithConfig(cfg any) (Factory, error)
}

// PerWorker is an optional ability of factories whose parsers share scratch
// memory: each worker's driver takes a factory of its own, whose parsers are only
// used by one goroutine.
type PerWorker interface {
	Factory
	// PerWorker returns a factory of the same protocol and options.
	PerWorker() Factory
}
