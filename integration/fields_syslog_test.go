package integration

import (
	"strconv"
	"strings"
	"time"
)

// syslogFields compares syslog over UDP, which is what tshark dissects. In the old
// format it calls the tag a process id, and the message id of the new one is
// followed by all the rest.
func syslogFields() protocolFields {
	facilities := strings.Fields("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 local2 local3 local4 local5 local6 local7")
	severities := strings.Fields("emerg alert crit err warning notice info debug")
	named := func(names []string) func(string) string {
		return func(s string) string {
			if n, err := strconv.Atoi(s); err == nil && n < len(names) {
				return names[n]
			}
			return s
		}
	}
	// of returns the values of one field for the new format, of another for the
	// old one; the nil value is none.
	of := func(newField, oldField string, tidy func(string) string) func(*tsharkNode) []string {
		return func(l *tsharkNode) []string {
			field := newField
			if l.first("syslog.version") != "1" {
				field = oldField
			}
			return tidied(tidied(l.all(field), tidy), func(s string) string {
				if s == "-" {
					return absent
				}
				return s
			})
		}
	}
	return protocolFields{
		protocols: []string{"syslog"}, layers: []string{"syslog"}, transports: []string{"udp"},
		rules: []fieldRule{
			udp(rule("facility", "syslog.facility", named(facilities))),
			udp(rule("severity", "syslog.level", named(severities))),
			udp(fieldRule{key: "timestamp", ours: syslogTime, theirs: of("syslog.timestamp", "syslog.timestamp_rfc3164", func(s string) string {
				if strings.HasPrefix(s, "Jan  1, 1970") {
					return absent
				}
				return instant(s)
			})}),
			udp(fieldRule{key: "hostname", ours: rule("hostname", "", nil).ours, theirs: of("syslog.hostname", "syslog.hostname", nil)}),
			udp(fieldRule{key: "app_name", ours: rule("app_name", "", nil).ours, theirs: of("syslog.appname", "syslog.procid", nil)}),
			udp(fieldRule{key: "msg_id", ours: rule("msg_id", "", nil).ours, theirs: of("syslog.msgid", "", func(s string) string {
				s, _, _ = strings.Cut(s, " ")
				return s
			})}),
		},
	}
}

// udp keeps a rule to messages over UDP.
func udp(r fieldRule) fieldRule {
	ours := r.ours
	r.ours = func(m *ourMessage) []string {
		if m.event.Flow.Transport.String() != "udp" {
			return nil
		}
		return ours(m)
	}
	return r
}

// syslogTime writes times of the new format in nanoseconds, those of the old one
// as they are.
func syslogTime(m *ourMessage) []string {
	values := valuesAt(m.message, "timestamp")
	return tidied(values, func(s string) string {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return strconv.FormatInt(t.UnixNano(), 10)
		}
		return s
	})
}
