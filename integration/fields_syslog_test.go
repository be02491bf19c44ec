package integration

import (
	"strconv"
	"strings"
)

// syslogFields compares syslog. Of the old format tshark shows the text with all
// that stands in front of it.
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
	nilIsAbsent := func(s string) string {
		if s == "-" || s == "" {
			return absent
		}
		return s
	}
	ofNew := func(r fieldRule) fieldRule {
		ours := r.ours
		r.ours = func(m *ourMessage) []string {
			if m.message["format"] == "rfc5424" {
				return ours(m)
			}
			return nil
		}
		return r
	}
	return protocolFields{
		protocols: []string{"syslog"}, layers: []string{"syslog"},
		rules: []fieldRule{
			rule("facility", "syslog.facility", named(facilities)),
			rule("severity", "syslog.level", named(severities)),
			ofNew(rule("timestamp", "syslog.timestamp", nilIsAbsent)),
			ofNew(rule("hostname", "syslog.hostname", nilIsAbsent)),
			ofNew(rule("app_name", "syslog.appname", nilIsAbsent)),
			ofNew(rule("proc_id", "syslog.procid", nilIsAbsent)),
			ofNew(rule("msg_id", "syslog.msgid", nilIsAbsent)),
		},
	}
}
