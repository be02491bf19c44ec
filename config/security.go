package config

import (
	"fmt"
	"strconv"
	"strings"
)

// The values of Security.Sandbox.
const (
	SandboxOn  = "on"
	SandboxOff = "off"
)

// Security says what a running sensor gives up once its sockets are open.
type Security struct {
	// Sandbox is on or off. Default on.
	Sandbox string `yaml:"sandbox"`
	// User is the name or number of the user to become, "" to stay. Root is none to
	// become. Default "".
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
	return s.validateUser()
}

// validateUser checks what needs no list of users, which may be another machine's.
func (s *Security) validateUser() error {
	const wantUser = `want the name of a user, or a number from 1 to 4294967294, or "" to stay who started it`
	switch u := s.User; {
	case u == "root" || strings.Trim(u, "0") == "" && u != "":
		return fmt.Errorf("user: %q: this is root, who gives nothing up: %s", u, wantUser)
	case strings.ContainsAny(u, ":/\x00\n") || strings.TrimSpace(u) != u:
		return fmt.Errorf("user: %q: %s", u, wantUser)
	case strings.Trim(strings.TrimLeft(u, "+-"), "0123456789") != "" || u == "":
		return nil // a name
	default:
		n, err := strconv.ParseUint(u, 10, 32)
		if err != nil || n == 1<<32-1 || u[0] == '0' {
			return fmt.Errorf("user: %q: %s", u, wantUser)
		}
		return nil
	}
}
