package config

import "fmt"

// The values of Security.Sandbox.
const (
	SandboxOn  = "on"
	SandboxOff = "off"
)

// Security says what a running sensor gives up once its sockets are open.
type Security struct {
	// Sandbox is on or off. Default on.
	Sandbox string `yaml:"sandbox"`
	// User is the name or number of the user to become, "" to stay. Default "".
	User string `yaml:"user"`
}

func defaultSecurity() Security { return Security{Sandbox: SandboxOn} }

// Validate names the first value that is wrong, by its configuration key.
func (s *Security) Validate() error {
	if s.Sandbox != SandboxOn && s.Sandbox != SandboxOff {
		return fmt.Errorf("sandbox: %q: want %s or %s", s.Sandbox, SandboxOn, SandboxOff)
	}
	if s.User != "" && s.Sandbox == SandboxOff {
		return fmt.Errorf("user: %q: needs sandbox: on", s.User)
	}
	return nil
}
