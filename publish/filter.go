package publish

import (
	"fmt"
	"slices"
	"strings"

	"flowscope/session"
)

// rule says why an event is left out; pass says that it is not.
type rule uint8

const (
	pass rule = iota
	ruleOnly
	ruleEvents
	numRules
)

// ruleNames are the keys of the ledger's events.filtered.
var ruleNames = [numRules]string{ruleOnly: "only", ruleEvents: "events"}

// newRules returns the rule of each topic. Events about the sensor always pass.
func newRules(cfg *Config, reg *session.Registry) ([]rule, error) {
	for key, names := range map[string][]string{"only": cfg.Only, "core": cfg.Core} {
		for _, name := range names {
			if _, ok := reg.Lookup(name); !ok && name != session.FlowProtocol {
				return nil, fmt.Errorf("%s: unknown protocol %q: known are %s, %s",
					key, name, session.FlowProtocol, strings.Join(reg.Names(), ", "))
			}
		}
	}
	rules := make([]rule, len(reg.Topics()))
	for i, t := range reg.Topics() {
		switch {
		case t.Protocol == session.SensorProtocol:
		case len(cfg.Only) > 0 && !slices.Contains(cfg.Only, t.Protocol):
			rules[i] = ruleOnly
		case cfg.Events == EventsMessages && lifecycle(t.Type):
			rules[i] = ruleEvents
		}
	}
	return rules, nil
}

// lifecycle says whether an event tells of a flow rather than of what is in it.
func lifecycle(t session.EventType) bool {
	switch t {
	case session.Started, session.Closed, session.AnomalyEvent, session.Tick:
		return true
	}
	return false
}
