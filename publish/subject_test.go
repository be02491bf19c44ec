package publish

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowscope/session"
)

func TestSubjects(t *testing.T) {
	topics := []session.Topic{{Protocol: "dns", Kind: "query"}, {Protocol: "sensor", Kind: "dead_letter"}}
	for _, tt := range []struct {
		name, prefix, sensor string
		want                 []string
		err                  string
	}{
		{"default", "flowscope", "edge-1", []string{"flowscope.dns.query", "flowscope.sensor.dead_letter"}, ""},
		{"several tokens", "acme.site_2", "", []string{"acme.site_2.dns.query", "acme.site_2.sensor.dead_letter"}, ""},
		{"sensor", "acme.{sensor}.flowscope", "edge_1", []string{"acme.edge_1.flowscope.dns.query", "acme.edge_1.flowscope.sensor.dead_letter"}, ""},
		{"sensor in part of a token", "s_{sensor}", "x", []string{"s_x.dns.query", "s_x.sensor.dead_letter"}, ""},
		{"sensor with dots, wildcards and capitals", "{sensor}", "Edge.1 >*é", []string{"edge_1____.dns.query", "edge_1____.sensor.dead_letter"}, ""},
		{"sensor that looks like the placeholder", "{sensor}", "{sensor}", []string{"_sensor_.dns.query", "_sensor_.sensor.dead_letter"}, ""},
		{"sensor without a name", "{sensor}", "", nil, "has no name"},
		{"empty", "", "s", nil, "is empty: want"},
		{"capital", "Flowscope", "s", nil, "want letters a-z"},
		{"wildcard", "flowscope.>", "s", nil, "want letters a-z"},
		{"empty token", "a..b", "s", nil, "empty token"},
		{"dot at the end", "a.", "s", nil, "empty token"},
		{"system subject", "$SYS", "s", nil, "want letters a-z"},
		{"other placeholder", "a.{host}", "s", nil, "the only placeholder is {sensor}"},
		{"blank", "a b", "s", nil, "want letters a-z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Subjects(tt.prefix, tt.sensor, topics)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSubjectsRefuseTopicsThatAreNoTokens(t *testing.T) {
	for _, topic := range []session.Topic{{Protocol: "", Kind: "x"}, {Protocol: "dns", Kind: "a.b"}, {Protocol: ">", Kind: "a"}} {
		if _, err := Subjects("flowscope", "s", []session.Topic{topic}); err == nil {
			t.Errorf("no error for %+v", topic)
		}
	}
}
