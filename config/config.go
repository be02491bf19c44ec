package config

import (
	"fmt"
	"slices"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/publish"
	"flowscope/session"
)

// Config is the whole configuration. Its fields are the sections and keys at the
// top of the file.
type Config struct {
	Sensor Sensor `yaml:"sensor"`
	// Workers is how many goroutines track flows and parse. Default 0: one for
	// each processor.
	Workers int            `yaml:"workers"`
	Capture ingest.Config  `yaml:"capture"`
	Flow    flow.Config    `yaml:"flow"`
	Session session.Config `yaml:"session"`
	// Protocols are in the order of the factories.
	Protocols []*Protocol    `yaml:"protocols"`
	Publish   publish.Config `yaml:"publish"`
	Monitor   Monitor        `yaml:"monitor"`
	Security  Security       `yaml:"security"`
}

// Sensor says who publishes.
type Sensor struct {
	// Name is the name in events, of at most 255 bytes. Default "": the host's.
	Name string `yaml:"name"`
}

// Protocol is the section of one protocol.
type Protocol struct {
	// Enabled says whether the protocol is parsed. Default true.
	Enabled bool
	// Settings are those that every protocol has. Defaults: the factory's.
	Settings session.Settings
	// Options is what the factory's Config returned, changed by what was read;
	// nil if the factory has no options.
	Options any

	factory session.Factory
}

// Name returns the protocol's name.
func (p *Protocol) Name() string { return p.factory.Protocol().Name }

// Default returns the defaults, for these factories.
func Default(factories ...session.Factory) *Config {
	c := &Config{
		Capture: ingest.DefaultConfig(),
		Flow:    flow.DefaultConfig(),
		Session: session.DefaultConfig(),
		Publish: publish.DefaultConfig(),
		Monitor: defaultMonitor(), Security: defaultSecurity(),
	}
	for _, f := range factories {
		p := &Protocol{Enabled: true, Settings: f.Protocol().Settings(), factory: f}
		if configurable, ok := f.(session.Configurable); ok {
			p.Options = configurable.Config()
		}
		c.Protocols = append(c.Protocols, p)
	}
	return c
}

// Registry returns the registry of the enabled protocols with their options. It
// fails if two factories do not go together.
func (c *Config) Registry() (*session.Registry, error) {
	return c.registry(func(p *Protocol) bool { return p.Enabled })
}

// WholeRegistry is Registry with the disabled protocols in it as such, for a driver
// that may be told otherwise later.
func (c *Config) WholeRegistry() (*session.Registry, error) {
	return c.registry(func(*Protocol) bool { return true })
}

// registry returns the registry of the protocols that are wanted.
func (c *Config) registry(wanted func(*Protocol) bool) (*session.Registry, error) {
	var factories []session.Factory
	for _, p := range c.Protocols {
		if !wanted(p) {
			continue
		}
		f, err := p.configured()
		if err != nil {
			return nil, fmt.Errorf("protocols.%s: %w", p.Name(), err)
		}
		factories = append(factories, f)
	}
	registry, err := session.NewRegistry(factories...)
	if err != nil {
		return nil, err
	}
	for _, p := range c.Protocols {
		if !wanted(p) {
			continue
		}
		settings := p.Settings
		settings.Disabled = !p.Enabled
		if registry, err = registry.Configure(p.Name(), settings); err != nil {
			return nil, fmt.Errorf("protocols.%s: %w", p.Name(), err)
		}
	}
	return registry, nil
}

// streams says whether it has parsers of streams, which use a buffer.
func (p *Protocol) streams() bool {
	_, ok := p.factory.(session.SessionParserFactory)
	return ok
}

// configured returns the factory with its options.
func (p *Protocol) configured() (session.Factory, error) {
	if p.Options == nil {
		return p.factory, nil
	}
	return p.factory.(session.Configurable).WithConfig(p.Options)
}

// enabled returns what publish.only may name: the enabled protocols, and "flow".
func (c *Config) enabled() []string {
	names := []string{session.FlowProtocol}
	for _, p := range c.Protocols {
		if p.Enabled {
			names = append(names, p.Name())
		}
	}
	return slices.Clip(names)
}
