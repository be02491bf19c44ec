package integration

import (
	"encoding/hex"
	"slices"
	"strconv"
)

// snmpFields compares SNMP. Of values tshark has a field for each type, all of
// which are compared in one list.
func snmpFields() protocolFields {
	kinds := map[string]string{
		"0": "get", "1": "get_next", "2": "response", "3": "set", "4": "trap", "5": "get_bulk", "6": "inform", "7": "trap", "8": "report",
	}
	errors := []string{
		"noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess", "wrongType", "wrongLength",
		"wrongEncoding", "wrongValue", "noCreation", "inconsistentValue", "resourceUnavailable", "commitFailed",
		"undoFailed", "authorizationError", "notWritable", "inconsistentName",
	}
	ofResponses := func(r fieldRule) fieldRule {
		ours, theirs := r.ours, r.theirs
		r.ours = func(m *ourMessage) []string {
			if m.event.Kind == "response" {
				return ours(m)
			}
			return nil
		}
		r.theirs = func(l *tsharkNode) []string {
			if l.first("snmp.data") == "2" {
				return theirs(l)
			}
			return nil
		}
		return r
	}
	return protocolFields{
		protocols: []string{"snmp"}, layers: []string{"snmp"}, identity: "request_id",
		rules: []fieldRule{
			{
				key: "kind",
				ours: func(m *ourMessage) []string {
					if m.event.Kind == "encrypted" {
						return nil
					}
					return []string{m.event.Kind}
				},
				theirs: func(l *tsharkNode) []string {
					return tidied(l.all("snmp.data"), func(s string) string { return kinds[s] })
				},
			},
			{
				key:  "version",
				ours: rule("version", "", nil).ours,
				theirs: func(l *tsharkNode) []string {
					return tidied(slices.Concat(l.all("snmp.version"), l.all("snmp.msgVersion")), func(s string) string {
						return map[string]string{"0": "1", "1": "2c", "3": "3"}[s]
					})
				},
			},
			rule("request_id", "snmp.request_id", nil),
			ofResponses(rule("error_status", "snmp.error_status", func(s string) string {
				n, err := strconv.Atoi(s)
				if err != nil || n >= len(errors) {
					return s
				}
				return errors[n]
			})),
			rule("error_index", "snmp.error_index", zeroIsAbsent),
			rule("non_repeaters", "snmp.non_repeaters", nil),
			rule("max_repetitions", "snmp.max_repetitions", nil),
			rule("varbinds[].oid", "snmp.name", nil),
			{key: "varbinds[].value", ours: ourVarbinds, theirs: tsharkVarbinds},
			rule("message_id", "snmp.msgID", nil),
			rule("engine_id", "snmp.msgAuthoritativeEngineID", func(s string) string { return emptyIsAbsent(octets(s)) }),
			rule("engine_boots", "snmp.msgAuthoritativeEngineBoots", nil),
			rule("engine_time", "snmp.msgAuthoritativeEngineTime", nil),
			rule("user", "snmp.msgUserName", emptyIsAbsent),
			rule("context_engine_id", "snmp.contextEngineID", func(s string) string { return emptyIsAbsent(octets(s)) }),
			rule("enterprise", "snmp.enterprise", nil),
			rule("agent_address", "snmp.agent_addr", nil),
			rule("specific_trap", "snmp.specific_trap", nil),
			rule("uptime_ticks", "snmp.time_stamp", nil),
			ofResponses(rule("rtt_ns", "snmp.time", interval)),
		},
	}
}

func unhexed(s string) string {
	b, err := hex.DecodeString(octets(s))
	if err != nil {
		return s
	}
	return string(b)
}

func zeroIsAbsent(s string) string {
	if s == "0" {
		return absent
	}
	return s
}

func emptyIsAbsent(s string) string {
	if s == "" {
		return absent
	}
	return s
}

// ourVarbinds writes numbers in decimal, the rest as it is.
func ourVarbinds(m *ourMessage) (values []string) {
	list, _ := m.message["varbinds"].([]any)
	for _, e := range list {
		v, _ := e.(map[string]any)
		if v["value"] != nil {
			values = append(values, leafTexts(v["value"])...)
		}
	}
	return values
}

func tsharkVarbinds(l *tsharkNode) (values []string) {
	for _, c := range l.children {
		switch c.key {
		case "snmp.value.octets":
			values = append(values, unhexed(c.value))
		case "snmp.value.opaque":
			values = append(values, unhexed(c.value))
		case "snmp.value.int", "snmp.value.u32", "snmp.value.g32", "snmp.value.counter", "snmp.value.timeticks", "snmp.value.oid", "snmp.value.ipv4":
			values = append(values, c.value)
		default:
			values = append(values, tsharkVarbinds(c)...)
		}
	}
	return values
}
