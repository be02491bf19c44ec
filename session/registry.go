package session

import (
	"fmt"
	"slices"
	"strings"
)

// The protocol names that no factory may take.
const (
	// FlowProtocol is the protocol of flows that no parser took.
	FlowProtocol = "flow"
	// SensorProtocol is the protocol of events about the sensor itself.
	SensorProtocol = "sensor"
)

// lifecycleKinds are the kinds that every protocol has, in the order of their
// topics; no message may take them.
var lifecycleKinds = [...]string{"started", "parser_closed", "closed", "anomaly", "tick"}

var lifecycleTypes = [...]EventType{Started, ParserClosed, Closed, AnomalyEvent, Tick}

// sensorKinds are the kinds of events about the sensor.
var sensorKinds = [...]string{"ledger", "heartbeat", "state", "anomaly", "dead_letter"}

// Topic is one protocol and kind: the last two tokens of a subject.
type Topic struct {
	Protocol, Kind string
	// Type is the type of all events on the topic.
	Type EventType
}

// Registry is an immutable, ordered list of factories with a number for each
// topic. The order is that in which parsers are tried.
type Registry struct {
	factories []Factory
	topics    []Topic
	first     map[string]int      // protocol → its first topic
	settings  map[string]Settings // of protocols whose own do not hold; never changed
}

// NewRegistry checks the factories and returns a registry of them.
func NewRegistry(factories ...Factory) (*Registry, error) {
	r := &Registry{factories: slices.Clone(factories), first: map[string]int{}}
	r.addLifecycle(FlowProtocol)
	r.first[SensorProtocol] = len(r.topics)
	for _, k := range sensorKinds {
		r.topics = append(r.topics, Topic{SensorProtocol, k, Sensor})
	}
	for _, f := range factories {
		if err := r.add(f); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Registry) add(f Factory) error {
	if f == nil || f.Protocol() == nil {
		return fmt.Errorf("registry: factory %T describes no protocol", f)
	}
	p := f.Protocol()
	if !validToken(p.Name) {
		return fmt.Errorf("registry: protocol name %q: want letters a-z, digits and _", p.Name)
	}
	if p.Name == FlowProtocol || p.Name == SensorProtocol {
		return fmt.Errorf("registry: protocol name %q is reserved", p.Name)
	}
	if _, dup := r.first[p.Name]; dup {
		return fmt.Errorf("registry: protocol %q is registered twice", p.Name)
	}
	_, stream := f.(SessionParserFactory)
	_, datagram := f.(DatagramParserFactory)
	if !stream && !datagram {
		return fmt.Errorf("registry: factory of %q makes neither session nor datagram parsers", p.Name)
	}
	if len(p.Transports) == 0 {
		return fmt.Errorf("registry: protocol %q names no transport", p.Name)
	}
	r.addLifecycle(p.Name)
	seen := map[string]bool{}
	for _, k := range p.Kinds() {
		switch {
		case !validToken(k):
			return fmt.Errorf("registry: protocol %q: message kind %q: want letters a-z, digits and _", p.Name, k)
		case slices.Contains(lifecycleKinds[:], k):
			return fmt.Errorf("registry: protocol %q: message kind %q is reserved", p.Name, k)
		case seen[k]:
			return fmt.Errorf("registry: protocol %q: message kind %q is listed twice", p.Name, k)
		}
		seen[k] = true
		r.topics = append(r.topics, Topic{p.Name, k, Application})
	}
	for _, a := range p.Anomalies {
		if !validToken(a.Name) {
			return fmt.Errorf("registry: protocol %q: anomaly %q: want letters a-z, digits and _", p.Name, a.Name)
		}
	}
	return nil
}

func (r *Registry) addLifecycle(protocol string) {
	r.first[protocol] = len(r.topics)
	for i, k := range lifecycleKinds {
		r.topics = append(r.topics, Topic{protocol, k, lifecycleTypes[i]})
	}
}

func validToken(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}

// Factories returns the factories in order. The caller must not change the list.
func (r *Registry) Factories() []Factory { return r.factories }

// Topics returns all topics; the index is SessionEvent.Topic. The caller must
// not change the list.
func (r *Registry) Topics() []Topic { return r.topics }

// TopicOf returns the number of a topic.
func (r *Registry) TopicOf(protocol, kind string) (int, bool) {
	first, ok := r.first[protocol]
	if !ok {
		return 0, false
	}
	for i := first; i < len(r.topics) && r.topics[i].Protocol == protocol; i++ {
		if r.topics[i].Kind == kind {
			return i, true
		}
	}
	return 0, false
}

// Lookup returns the factory of a protocol.
func (r *Registry) Lookup(protocol string) (Factory, bool) {
	for _, f := range r.factories {
		if f.Protocol().Name == protocol {
			return f, true
		}
	}
	return nil, false
}

// Names returns the protocol names in order.
func (r *Registry) Names() []string {
	names := make([]string, len(r.factories))
	for i, f := range r.factories {
		names[i] = f.Protocol().Name
	}
	return names
}

// With returns a registry with more factories at the end.
func (r *Registry) With(factories ...Factory) (*Registry, error) {
	all, err := NewRegistry(append(slices.Clone(r.factories), factories...)...)
	if err != nil {
		return nil, err
	}
	return all.configured(r.settings), nil
}

// Without returns a registry without the named protocols; a name that is not in
// it is an error.
func (r *Registry) Without(names ...string) (*Registry, error) {
	if err := r.known(names); err != nil {
		return nil, err
	}
	return r.keep(func(name string) bool { return !slices.Contains(names, name) })
}

// Only returns a registry of the named protocols, in this registry's order; a
// name that is not in it is an error.
func (r *Registry) Only(names ...string) (*Registry, error) {
	if err := r.known(names); err != nil {
		return nil, err
	}
	return r.keep(func(name string) bool { return slices.Contains(names, name) })
}

func (r *Registry) known(names []string) error {
	for _, n := range names {
		if _, ok := r.Lookup(n); !ok {
			return fmt.Errorf("unknown protocol %q: known are %s", n, strings.Join(r.Names(), ", "))
		}
	}
	return nil
}

func (r *Registry) keep(want func(string) bool) (*Registry, error) {
	var kept []Factory
	for _, f := range r.factories {
		if want(f.Protocol().Name) {
			kept = append(kept, f)
		}
	}
	some, err := NewRegistry(kept...)
	if err != nil {
		return nil, err
	}
	return some.configured(r.settings), nil
}
