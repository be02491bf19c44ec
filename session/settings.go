package session

import (
	"fmt"
	"slices"
)

// Limits of the settings.
const (
	minBuffer = 1 << 9
	maxBuffer = 1 << 30
)

// Settings are what configuration may say of every protocol.
type Settings struct {
	// Ports stand in for Protocol.Ports; none leaves all to the content.
	Ports []uint16
	// Buffer stands in for Protocol.Buffer, in bytes. Datagram parsers have
	// none.
	Buffer int
	// Disabled has no flow taken for the protocol, whose topics are there all the
	// same.
	Disabled bool
}

// Settings returns those of the protocol itself.
func (p *Protocol) Settings() Settings {
	s := Settings{Ports: append([]uint16{}, p.Ports...), Buffer: p.Buffer}
	if s.Buffer == 0 {
		s.Buffer = defaultBuffer
	}
	return s
}

// Validate says what is wrong with the settings.
func (s *Settings) Validate() error {
	for i, port := range s.Ports {
		if port == 0 {
			return fmt.Errorf("ports: want 1 to 65535, got 0")
		}
		if slices.Contains(s.Ports[:i], port) {
			return fmt.Errorf("ports: %d is listed twice", port)
		}
	}
	if s.Buffer < minBuffer || s.Buffer > maxBuffer {
		return fmt.Errorf("buffer: %d: want %d to %d", s.Buffer, minBuffer, maxBuffer)
	}
	return nil
}

// Settings returns those that hold for a protocol of the registry.
func (r *Registry) Settings(protocol string) (Settings, bool) {
	f, ok := r.Lookup(protocol)
	if !ok {
		return Settings{}, false
	}
	if s, ok := r.settings[protocol]; ok {
		return s, true
	}
	return f.Protocol().Settings(), true
}

// Configure returns a registry with other settings for one of its protocols.
func (r *Registry) Configure(protocol string, s Settings) (*Registry, error) {
	if err := r.known([]string{protocol}); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("protocol %s: %w", protocol, err)
	}
	own := *r
	own.settings = map[string]Settings{}
	for name, other := range r.settings {
		own.settings[name] = other
	}
	s.Ports = append([]uint16{}, s.Ports...)
	own.settings[protocol] = s
	return &own, nil
}

// configured returns the registry with those of the settings that are of one of its
// protocols.
func (r *Registry) configured(settings map[string]Settings) *Registry {
	for name, s := range settings {
		if _, ok := r.Lookup(name); ok {
			if r.settings == nil {
				r.settings = map[string]Settings{}
			}
			r.settings[name] = s
		}
	}
	return r
}
