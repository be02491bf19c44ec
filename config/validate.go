package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"flowscope/ingest"
	"flowscope/ingest/filter"
)

const maxSensorName = 255

// validate asks the stages, and gives what they find the place of its key.
func validate(c *Config, root *key) (problems Problems) {
	check := func(section string, err error) {
		if err != nil {
			problems = append(problems, locate(root, section, err)...)
		}
	}
	check("", c.validateOwn())
	check("capture", c.Capture.Validate())
	check("capture", validateFilter(c.Capture.Filter))
	check("flow", c.Flow.Validate())
	check("session", c.Session.Validate())
	check("publish", c.Publish.Validate())
	check("publish", c.validateProtocols("only", c.Publish.Only))
	check("publish", c.validateProtocols("core", c.Publish.Core))
	check("monitor", c.Monitor.Validate())
	check("security", c.Security.Validate())
	for _, p := range c.Protocols {
		check("protocols."+p.Name(), p.validate())
	}
	if len(problems) == 0 {
		_, err := c.Registry()
		check("", err)
	}
	return problems
}

// validateOwn checks what belongs to no stage.
func (c *Config) validateOwn() error {
	name := c.Sensor.Name
	switch {
	case len(name) > maxSensorName:
		return fmt.Errorf("sensor.name: %d bytes: want at most %d", len(name), maxSensorName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("sensor.name: %q: want printable text", name)
	case c.Workers < 0 || c.Workers > ingest.MaxWorkers:
		return fmt.Errorf("workers: %d: want 1 to %d, or 0 for one per processor", c.Workers, ingest.MaxWorkers)
	}
	return nil
}

// ethernet is LINKTYPE_ETHERNET, of which programs are the longest.
const ethernet = 1

// validateFilter checks the filter's language, and that its program is not too long.
func validateFilter(text string) error {
	expression, err := filter.Parse(text)
	if err == nil {
		_, err = expression.Compile(ethernet, true)
	}
	if err != nil {
		return fmt.Errorf("filter: %s", strings.TrimPrefix(err.Error(), "filter: "))
	}
	return nil
}

// validateProtocols checks the names of protocols under a key of publish.
func (c *Config) validateProtocols(key string, names []string) error {
	known := c.enabled()
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		for _, p := range c.Protocols {
			if p.Name() == name {
				return fmt.Errorf("%s: protocol %q is switched off under protocols.%s.enabled", key, name, name)
			}
		}
		return fmt.Errorf("%s: unknown protocol %q: %s", key, name, didYouMean(name, known))
	}
	return nil
}

// validate checks the settings, and the options by the factory's own rules.
func (p *Protocol) validate() error {
	if err := p.Settings.Validate(); err != nil {
		return err
	}
	if v, ok := p.Options.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// locate makes problems of an error: each message begins with the path of its
// key below the section.
func locate(root *key, section string, err error) (problems Problems) {
	for _, e := range leaves(err) {
		path, text, from := section, e.Error(), origin{}
		if below, rest, ok := strings.Cut(text, ": "); ok {
			if k, known := root.find(strings.TrimPrefix(section+"."+below, ".")); known {
				path, text, from = k.path, rest, k.set()
			}
		}
		problems = append(problems, from.problem(path, text))
	}
	return problems
}
