// Package parsers lists the built-in protocols, and nothing else.
package parsers

import (
	"flowscope/parsers/dns"
	"flowscope/parsers/http"
	"flowscope/parsers/ntp"
	"flowscope/parsers/snmp"
	"flowscope/parsers/syslog"
	"flowscope/parsers/tls"
	"flowscope/session"
)

// All returns the factories of all built-in protocols in the order in which
// they are tried. Each call makes new ones.
func All() []session.Factory {
	return []session.Factory{
		dns.New(),
		dns.NewMDNS(),
		dns.NewLLMNR(),
		http.New(),
		ntp.New(),
		tls.New(),
		snmp.New(),
		syslog.New(),
	}
}
