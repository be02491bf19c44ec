package integration

import (
	"flag"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowscope/flow"
	"flowscope/parsers"
	"flowscope/publish"
	"flowscope/session"
)

var updateDocs = flag.Bool("update", false, "rewrite the tables of docs/events.md that follow from the code, meanings stay; and what tshark says in TestLongDetection")

const eventsDoc = "../docs/events.md"

// TestEventsDocument holds the tables of docs/events.md to the code: no key
// without a row, no row without a key.
func TestEventsDocument(t *testing.T) {
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		t.Fatal(err)
	}
	tables := []*docTable{subjectTable(registry)}
	tables = append(tables, envelopeTables(t)...)
	tables = append(tables, reasonTables()...)
	tables = append(tables, anomalyTable(registry), sensorAnomalyTable(), ledgerTable(t), headerTable(t, registry))
	tables = append(tables, messageTables(registry)...)

	text, err := os.ReadFile(eventsDoc)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	if *updateDocs {
		for _, table := range tables {
			if doc, err = table.rewrite(doc); err != nil {
				t.Error(err)
			}
		}
		if err := os.WriteFile(eventsDoc, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, table := range tables {
		names = append(names, table.name)
		for _, finding := range table.check(doc) {
			t.Error(finding)
		}
	}
	for line := range strings.Lines(doc) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "<!-- begin ")
		name = strings.TrimSuffix(name, " -->")
		if ok && !slices.Contains(names, name) {
			t.Errorf("table %q follows from nothing", name)
		}
	}
	if t.Failed() {
		t.Log("go test ./integration -run TestEventsDocument -update rewrites the tables; meanings are written by hand")
	}
}

// TestDocumentTables breaks a table in each way that is noticed.
func TestDocumentTables(t *testing.T) {
	table := &docTable{
		name: "t", head: []string{"Key", "Type", "Meaning"}, written: true,
		rows: [][]string{{"`a`", "int"}, {"`b`", "str"}},
	}
	wrap := func(rows string) string {
		return "text\n<!-- begin t -->\n| Key | Type | Meaning |\n|---|---|---|\n" + rows + "<!-- end t -->\nmore\n"
	}
	const a, b = "| `a` | int | first |\n", "| `b` | str | second |\n"
	tests := []struct {
		name, doc, want string
	}{
		{"as it should be", wrap(a + b), ""},
		{"no marks", "text\n", "once each"},
		{"marks twice", wrap(a+b) + wrap(a+b), "once each"},
		{"no heading", "<!-- begin t -->\n<!-- end t -->\n", "want the heading"},
		{"a row too few", wrap(a), "no row | `b` | str |"},
		{"a row too many", wrap(a + b + "| `c` | str | third |\n"), "stale row | `c` | str |"},
		{"another type", wrap(a + "| `b` | int | second |\n"), "no row | `b` | str |"},
		{"a row twice", wrap(a + a + b), "row stands twice"},
		{"no meaning", wrap(a + "| `b` | str | |\n"), "says nothing"},
		{"another order", wrap(b + a), "want the order"},
		{"a cell too many", wrap(a + "| `b` | str | x | y |\n"), "want 3 cells"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings := strings.Join(table.check(tt.doc), "\n")
			if (tt.want == "") != (findings == "") || !strings.Contains(findings, tt.want) {
				t.Errorf("have %q, want %q", findings, tt.want)
			}
		})
	}
	got, err := table.rewrite(wrap("| `b` | int | second |\n| `c` | str | third |\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wrap("| `a` | int |  |\n"+b), got); diff != "" {
		t.Errorf("rewritten (-want +got):\n%s", diff)
	}
}

// TestMessageTags compares the keys that messages write with those of their tags:
// nothing is written without a tag, everything tagged is written, and the empty
// message writes what has no omitempty.
func TestMessageTags(t *testing.T) {
	messages := []session.Message{new(publish.DeadLetter), new(publish.Heartbeat), new(publish.State)}
	for _, f := range parsers.All() {
		messages = append(messages, f.Protocol().Messages...)
	}
	for _, prototype := range messages {
		typ := reflect.TypeOf(prototype).Elem()
		t.Run(typ.String()+" "+prototype.Kind(), func(t *testing.T) {
			m := reflect.New(typ)
			m.Elem().Set(reflect.ValueOf(prototype).Elem())
			always := map[string]bool{}
			for _, f := range taggedFields(typ) {
				if f.always {
					always[f.key] = true
				}
			}
			written := map[string]bool{}
			for k := range decodeMap(t, m.Interface().(session.Message).AppendMsgpack(nil)) {
				written[k] = true
			}
			if diff := cmp.Diff(always, written); diff != "" {
				t.Errorf("keys of the empty message (-tags +written):\n%s", diff)
			}
			fillValue(m.Elem())
			declared, encoded := map[string]bool{}, map[string]bool{}
			declaredKeys("", typ, declared)
			encodedKeys("", decodeMap(t, m.Interface().(session.Message).AppendMsgpack(nil)), encoded)
			if diff := cmp.Diff(declared, encoded); diff != "" {
				t.Errorf("keys of the full message (-tags +written):\n%s", diff)
			}
		})
	}
}

// subjectTable has a row for each topic; the lifecycle that all protocols share
// stands once.
func subjectTable(registry *session.Registry) *docTable {
	table := &docTable{name: "subjects", head: []string{"Subject", "`event`", "What it says"}, written: true}
	for _, topic := range registry.Topics() {
		protocol := topic.Protocol
		switch {
		case protocol == session.FlowProtocol:
			protocol = "<protocol>"
		case topic.Type != session.Application && topic.Type != session.Sensor:
			continue
		}
		table.rows = append(table.rows, []string{backquoted("flowscope." + protocol + "." + topic.Kind), backquoted(topic.Type.String())})
	}
	return table
}

// envelopeTables are those of the envelope and of the maps in it, read from what
// the encoder makes of events in which everything is set, and nothing.
func envelopeTables(t *testing.T) []*docTable {
	encoder := publish.NewEncoder("", "", nil)
	full, least := map[string]any{}, map[string]any(nil)
	for kind := session.Started; kind <= session.Sensor; kind++ {
		e := &session.SessionEvent{Type: kind}
		payload, _, _ := encoder.Append(nil, e)
		have := decodeMap(t, payload)
		if least == nil {
			least = maps.Clone(have)
		}
		maps.DeleteFunc(least, func(k string, _ any) bool { _, ok := have[k]; return !ok })
		fillValue(reflect.ValueOf(e).Elem())
		e.Type, e.Message = kind, &publish.DeadLetter{}
		payload, _, _ = encoder.Append(nil, e)
		maps.Copy(full, decodeMap(t, payload))
	}
	closed := &session.SessionEvent{Type: session.Closed, Flow: &flow.Info{}, Stats: &flow.Stats{}}
	payload, _, _ := encoder.Append(nil, closed)
	empty := decodeMap(t, payload)
	head := []string{"Key", "Type", "Always", "Meaning"}
	inner := func(key string) (full0, least0 map[string]any) {
		full0, _ = full[key].(map[string]any)
		least0, _ = empty[key].(map[string]any)
		return full0, least0
	}
	fullFlow, leastFlow := inner("flow")
	fullStats, leastStats := inner("stats")
	return []*docTable{
		{
			name: "envelope", head: head, written: true,
			rows: keyRows(keyTypes(full, false), least, "v", "id", "ts", "start_ts", "sensor", "run", "event", "protocol",
				"kind", "seq", "flow", "side", "message", "truncated", "weight", "reason", "detail", "severity", "count", "stats", "protocols"),
		},
		{
			name: "flow", head: head, written: true,
			rows: keyRows(keyTypes(fullFlow, true), leastFlow, "id", "community_id", "transport", "src_ip", "src_port",
				"dst_ip", "dst_port", "vlan", "tunnels", "tunnels[].type", "tunnels[].id", "tunnels[].ids_initiator",
				"tunnels[].ids_responder", "source", "quoted.id", "quoted.community_id", "quoted.transport", "quoted.src_ip", "quoted.src_port",
				"quoted.dst_ip", "quoted.dst_port"),
		},
		{
			name: "stats", head: head, written: true,
			rows: keyRows(keyTypes(fullStats, true), leastStats, statsOrder()...),
		},
	}
}

// statsOrder puts both sides of a counter side by side.
func statsOrder() (order []string) {
	both := func(names ...string) {
		for _, name := range names {
			order = append(order, name+"_initiator", name+"_responder")
		}
	}
	both("packets", "bytes", "ip_bytes", "payload_bytes")
	order = append(order, "first_ts", "last_ts", "last_ts_initiator", "last_ts_responder", "duration_ns",
		"history", "conn_state", "initiator_by", "midstream")
	both("tcp_flags", "retransmitted", "out_of_order", "overlap_conflicts", "gaps", "gap_bytes", "acked_unseen_bytes")
	return append(order, "handshake_rtt_initiator_ns", "handshake_rtt_responder_ns", "events")
}

// reasonTables are those of enumerations that the stages export.
func reasonTables() []*docTable {
	closed := &docTable{name: "closed reasons", head: []string{"`reason`", "Meaning"}, written: true}
	for _, r := range flow.Reasons() {
		closed.rows = append(closed.rows, []string{backquoted(r)})
	}
	states := &docTable{name: "connection states", head: []string{"`conn_state`", "Meaning"}, written: true}
	for _, s := range flow.ConnStates() {
		states.rows = append(states.rows, []string{backquoted(s)})
	}
	undecodable := &docTable{name: "undecodable reasons", head: []string{"Reason", "Meaning"}, written: true}
	for o := flow.UnknownLinkType; o.String() != "unknown"; o++ {
		undecodable.rows = append(undecodable.rows, []string{backquoted(o.String())})
	}
	sums := &docTable{name: "checksums", head: []string{"Kind", "Meaning"}, written: true}
	for _, k := range flow.ChecksumKinds() {
		sums.rows = append(sums.rows, []string{backquoted(k)})
	}
	parser := &docTable{name: "parser_closed reasons", head: []string{"`reason`", "Meaning"}, written: true}
	for _, r := range session.ParserReasons() {
		parser.rows = append(parser.rows, []string{backquoted(r)})
	}
	return []*docTable{closed, states, undecodable, sums, parser}
}

// anomalyTable has a row for each name, with the protocols that raise it; those of
// the flow layer are raised on flows of all protocols.
func anomalyTable(registry *session.Registry) *docTable {
	table := &docTable{name: "anomalies", head: []string{"Name", "Severity", "Protocols", "Meaning", "Reference"}}
	for _, a := range flow.Anomalies() {
		table.rows = append(table.rows, []string{backquoted(a.Name), string(a.Severity), "all", a.Meaning, a.Reference})
	}
	for _, f := range registry.Factories() {
		p := f.Protocol()
		for _, a := range p.Anomalies {
			row := []string{backquoted(a.Name), string(a.Severity), backquoted(p.Name), a.Meaning, a.Reference}
			same := slices.IndexFunc(table.rows, func(r []string) bool {
				return r[0] == row[0] && r[1] == row[1] && r[3] == row[3] && r[4] == row[4]
			})
			if same >= 0 {
				table.rows[same][2] += " " + row[2]
			} else {
				table.rows = append(table.rows, row)
			}
		}
	}
	return table
}

// sensorAnomalyTable has a row for each anomaly that concerns no flow.
func sensorAnomalyTable() *docTable {
	table := &docTable{name: "sensor anomalies", head: []string{"Name", "Severity", "Meaning", "Reference"}}
	for _, a := range flow.SensorAnomalies() {
		table.rows = append(table.rows, []string{backquoted(a.Name), string(a.Severity), a.Meaning, a.Reference})
	}
	return table
}

func ledgerTable(t *testing.T) *docTable {
	ledger := new(publish.Ledger)
	fillValue(reflect.ValueOf(ledger).Elem())
	ledger.Events.DuplicatesUnknown = false // null would have no type
	types := keyTypes(decodeMap(t, ledger.AppendMsgpack(nil)), true)
	table := &docTable{name: "ledger", head: []string{"Key", "Type", "Meaning"}, written: true}
	for _, row := range keyRows(types, nil, ledgerOrder(reflect.TypeOf(ledger).Elem(), "")...) {
		table.rows = append(table.rows, row[:2])
	}
	return table
}

// ledgerOrder lists the ledger's keys in the order of its fields.
func ledgerOrder(typ reflect.Type, prefix string) (order []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		key := prefix + f.Tag.Get("json")
		if isMap(f.Type) {
			order = append(order, ledgerOrder(f.Type, key+".")...)
		} else {
			order = append(order, key)
		}
	}
	return order
}

// messageTables are one per package of message types, with the kinds that each
// key occurs in, and one per struct that these lead to.
func messageTables(registry *session.Registry) []*docTable {
	var all []session.Message
	for _, f := range registry.Factories() {
		all = append(all, f.Protocol().Messages...)
	}
	tables := []*docTable{structTable("dead_letter", reflect.TypeFor[publish.DeadLetter](), new([]reflect.Type))}
	var structs []reflect.Type
	tables = append(
		tables, structTable("heartbeat", reflect.TypeFor[publish.Heartbeat](), &structs),
		structTable("state", reflect.TypeFor[publish.State](), &structs),
	)
	byPackage := map[string]*docTable{}
	for _, m := range all {
		typ := reflect.TypeOf(m).Elem()
		pkg := path.Base(typ.PkgPath())
		table := byPackage[pkg]
		if table == nil {
			table = &docTable{name: "messages " + pkg, head: []string{"Key", "Type", "Always", "Kinds", "Meaning"}, written: true}
			byPackage[pkg] = table
			tables = append(tables, table)
		}
		addMessage(table, m.Kind(), typ, &structs)
	}
	for _, table := range byPackage {
		shortenKinds(table, all)
	}
	for i := 0; i < len(structs); i++ {
		name := path.Base(structs[i].PkgPath()) + " " + structs[i].Name()
		tables = append(tables, structTable(name, structs[i], &structs))
	}
	return tables
}

func structTable(name string, typ reflect.Type, structs *[]reflect.Type) *docTable {
	table := &docTable{name: name, head: []string{"Key", "Type", "Always", "Meaning"}, written: true}
	for _, f := range taggedFields(typ) {
		table.rows = append(table.rows, []string{backquoted(f.key), typeText(f.typ, structs), alwaysCell(f)})
	}
	return table
}

func alwaysCell(f taggedField) string {
	if f.always {
		return "yes"
	}
	return ""
}

// addMessage adds the keys of one kind, to the rows of other kinds where they are
// of the same type.
func addMessage(table *docTable, kind string, typ reflect.Type, structs *[]reflect.Type) {
	for _, f := range taggedFields(typ) {
		row := []string{backquoted(f.key), typeText(f.typ, structs), alwaysCell(f), backquoted(kind)}
		same := slices.IndexFunc(table.rows, func(r []string) bool { return slices.Equal(r[:3], row[:3]) })
		switch {
		case same < 0:
			table.rows = append(table.rows, row)
		case !slices.Contains(strings.Fields(table.rows[same][3]), backquoted(kind)):
			table.rows[same][3] += " " + backquoted(kind)
		}
	}
}

// shortenKinds writes "all" for keys that all kinds of the package have.
func shortenKinds(table *docTable, all []session.Message) {
	kinds := map[string]bool{}
	for _, m := range all {
		if "messages "+path.Base(reflect.TypeOf(m).Elem().PkgPath()) == table.name {
			kinds[m.Kind()] = true
		}
	}
	for _, row := range table.rows {
		if len(strings.Fields(row[3])) == len(kinds) {
			row[3] = "all"
		}
	}
}
