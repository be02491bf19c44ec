package flow

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// idles are the idle time-outs in milliseconds.
type idles struct {
	setup, tcp, udp, other uint32
	// overrides go before those, by transport and port; of TCP only once the
	// connection is established.
	overrides map[idleKey]uint32
}

// idleKey is a transport, and a port or all of them.
type idleKey struct {
	proto Transport
	port  uint16
	all   bool
}

// newIdles takes valid values.
func newIdles(cfg *Config) idles {
	ms := func(d time.Duration) uint32 { return uint32(d.Milliseconds()) }
	i := idles{setup: ms(cfg.TCPSetupIdle), tcp: ms(cfg.TCPIdle), udp: ms(cfg.UDPIdle), other: ms(cfg.OtherIdle)}
	for _, text := range cfg.IdleOverrides {
		key, d, err := parseIdleOverride(text)
		if err != nil {
			continue
		}
		if i.overrides == nil {
			i.overrides = map[idleKey]uint32{}
		}
		i.overrides[key] = ms(d)
	}
	return i
}

// of returns a flow's time-out: that of the responder's port, of the initiator's,
// of the transport, or of its class.
func (i *idles) of(f *Flow, established bool) uint32 {
	proto := f.key.Proto
	if i.overrides != nil && (proto != TCP || established) {
		src, dst := f.Ports()
		for _, key := range [...]idleKey{{proto, dst, false}, {proto, src, false}, {proto, 0, true}} {
			if ms, ok := i.overrides[key]; ok {
				return ms
			}
		}
	}
	switch {
	case proto == TCP && established:
		return i.tcp
	case proto == TCP:
		return i.setup
	case proto == UDP:
		return i.udp
	default:
		return i.other
	}
}

// checkIdleOverrides refuses what cannot be read, and two of one kind.
func checkIdleOverrides(texts []string) error {
	seen := map[idleKey]string{}
	for _, text := range texts {
		key, _, err := parseIdleOverride(text)
		if err != nil {
			return err
		}
		if other, twice := seen[key]; twice {
			return fmt.Errorf("%q: the same as %q: want one of them", text, other)
		}
		seen[key] = text
	}
	return nil
}

// parseIdleOverride reads transport[/port]=duration.
func parseIdleOverride(text string) (key idleKey, d time.Duration, err error) {
	const want = "want transport/port=duration or transport=duration, such as tcp/22=1h"
	what, value, ok := strings.Cut(text, "=")
	name, port, ported := strings.Cut(what, "/")
	if !ok {
		return key, 0, fmt.Errorf("%q: %s", text, want)
	}
	key.all = !ported
	if key.proto, ok = parseTransport(name); !ok {
		return key, 0, fmt.Errorf("%q: unknown transport %q: %s", text, name, want)
	}
	if ported {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return key, 0, fmt.Errorf("%q: port %q: %s", text, port, want)
		}
		key.port = uint16(n)
	}
	if d, err = time.ParseDuration(value); err != nil {
		return key, 0, fmt.Errorf("%q: duration %q: %s", text, value, want)
	}
	if d < time.Millisecond || d > maxIdle {
		return key, 0, fmt.Errorf("%q: %v: want 1ms to %v", text, d, maxIdle)
	}
	return key, d, nil
}

// parseTransport is the reverse of Transport.String.
func parseTransport(name string) (Transport, bool) {
	for _, t := range []Transport{ICMP, TCP, UDP, ICMPv6, SCTP} {
		if t.String() == name {
			return t, true
		}
	}
	n, err := strconv.ParseUint(name, 10, 8)
	return Transport(n), err == nil
}
