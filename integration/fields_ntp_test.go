package integration

import "strconv"

// ntpFields compares NTP; tshark has no words for kinds but the mode.
func ntpFields() protocolFields {
	modes := map[string]string{
		"0": "reserved", "1": "symmetric_active", "2": "symmetric_passive", "3": "client", "4": "server", "5": "broadcast",
		"6": "control", "7": "private",
	}
	return protocolFields{
		protocols: []string{"ntp"}, layers: []string{"ntp"},
		rules: []fieldRule{
			{
				key:  "kind",
				ours: func(m *ourMessage) []string { return []string{m.event.Kind} },
				theirs: func(l *tsharkNode) []string {
					return tidied(l.all("ntp.flags.mode"), func(s string) string { return modes[s] })
				},
			},
			rule("version", "ntp.flags.vn", number),
			rule("leap", "ntp.flags.li", number),
			rule("stratum", "ntp.stratum", number),
			rule("poll", "ntp.ppoll", signed8),
			rule("precision", "ntp.precision", signed8),
			withoutEra(rule("reference_time", "ntp.reftime", instant)),
			withoutEra(rule("origin_time", "ntp.org", instant)),
			withoutEra(rule("receive_time", "ntp.rec", instant)),
			withoutEra(rule("transmit_time", "ntp.xmt", instant)),
		},
	}
}

// withoutEra compares times within their era: tshark goes by the highest bit
// alone, whenever a packet was captured.
func withoutEra(r fieldRule) fieldRule {
	const era = 1e9 << 32
	within := func(s string) string {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return s
		}
		return strconv.FormatInt(((n%era)+era)%era, 10)
	}
	ours, theirs := r.ours, r.theirs
	r.ours = func(m *ourMessage) []string { return tidied(ours(m), within) }
	r.theirs = func(l *tsharkNode) []string { return tidied(theirs(l), within) }
	return r
}
