package integration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
)

// fieldRule says how one key of our messages and what tshark says compare: both
// give lists of values in the order of the packet, in the same words.
type fieldRule struct {
	// key is that of docs/events.md; key and protocol name the row.
	key    string
	ours   func(m *ourMessage) []string
	theirs func(l *tsharkNode) []string
}

// protocolFields is what is compared of one protocol.
type protocolFields struct {
	// protocols are our names, layers those of tshark.
	protocols, layers []string
	// transports are udp and tcp; nil is both.
	transports []string
	// options are further options of tshark.
	options []string
	// kinds are those of our messages that stand for something on the wire; nil
	// is all of them.
	kinds []string
	// whole says that tshark shows no message without its end: those of ours that
	// are truncated count where it does.
	whole bool
	// split cuts a layer into messages; nil takes it for one.
	split func(l *tsharkNode) []*tsharkNode
	// identity is the rule whose values tell messages of a flow apart where the
	// packets that completed them differ.
	identity string
	rules    []fieldRule
}

// fieldLists are all comparisons; whoever adds a protocol adds a line.
func fieldLists() map[string]protocolFields {
	return map[string]protocolFields{
		"dns":    dnsFields(),
		"http":   httpFields(),
		"ntp":    ntpFields(),
		"snmp":   snmpFields(),
		"syslog": syslogFields(),
		"tls":    tlsFields(),
	}
}

// minFieldAgreement is the share of values on which we must agree with tshark, of
// each key, exceptions aside; maxFieldExceptions is the share of those.
const (
	minFieldAgreement  = 0.995
	maxFieldExceptions = 0.05
)

// fieldPackets is how many packets of each capture are compared, unless the long
// tests run.
const fieldPackets = 1000

// ourMessage is one message and where it came from.
type ourMessage struct {
	event   *session.SessionEvent
	message map[string]any
	used    bool
}

// place tells packets of one capture apart: time and ports of the innermost
// transport header.
func (m *ourMessage) place() string {
	from, to := m.event.Flow.Src.Port(), m.event.Flow.Dst.Port()
	if m.event.Side == flow.Responder {
		from, to = to, from
	}
	return fmt.Sprintf("%d %d>%d", int64(m.event.Time), from, to)
}

// theirMessage is one message as tshark dissects it.
type theirMessage struct {
	layer *tsharkNode
	time  int64
	ports string
	used  bool
}

func (m *theirMessage) place() string { return fmt.Sprintf("%d %s", m.time, m.ports) }

// fieldCount counts the values of one key.
type fieldCount struct{ agree, differ, missing, extra, excepted int }

func (c *fieldCount) union() int { return c.agree + c.differ + c.missing + c.extra + c.excepted }

// share is the part of the values that agree, exceptions aside.
func (c *fieldCount) share() float64 {
	return float64(c.agree) / float64(max(1, c.union()-c.excepted))
}

// TestFields compares what flowscope says of each capture with what tshark says,
// value by value. The denominator is the union of both.
func TestFields(t *testing.T) {
	withoutRace(t)
	needTshark(t)
	lists, exceptions := fieldLists(), loadFieldExceptions(t)
	files := slices.Concat(recordings(t), loadCaptures(t))
	for _, name := range conformanceCaptures(t) {
		files = append(files, capturePath(t, name))
	}
	results := compareCaptures(t, files, lists, exceptions)
	var all struct{ union, excepted int }
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		n := reportFields(t, name, lists[name], results)
		all.union, all.excepted = all.union+n.union(), all.excepted+n.excepted
	}
	if float64(all.excepted) > maxFieldExceptions*float64(all.union) {
		t.Errorf("%d of %d values are exceptions, more than %.0f %%", all.excepted, all.union, 100*maxFieldExceptions)
	}
	for x, used := range exceptions {
		if !used.used {
			t.Errorf("fields_exceptions.tsv: %s %s %s: nothing differs there: remove the line", x.capture, x.protocol, x.key)
		}
	}
}

// needTshark skips the test where tshark is missing, and fails it in CI.
func needTshark(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal(err)
		}
		tb.Skip("tshark is not installed")
	}
}

// recordings returns our own captures.
func recordings(tb testing.TB) []string {
	tb.Helper()
	var files []string
	for _, pattern := range []string{"testdata/*.pcap", "testdata/*.pcapng", "testdata/*.pcap.gz"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

type fieldKey struct{ protocol, key string }

// fieldResults gathers the counts, and the first differences of each key.
type fieldResults struct {
	mu       sync.Mutex
	counts   map[fieldKey]*fieldCount
	examples map[fieldKey][]string
	messages map[string][3]int // both, only ours, only theirs
}

func newFieldResults() *fieldResults {
	return &fieldResults{counts: map[fieldKey]*fieldCount{}, examples: map[fieldKey][]string{}, messages: map[string][3]int{}}
}

// compareCaptures compares all captures, two at a time.
func compareCaptures(t *testing.T, files []string, lists map[string]protocolFields, exceptions fieldExceptions) *fieldResults {
	r := newFieldResults()
	var group sync.WaitGroup
	work := make(chan string)
	for range 2 {
		group.Go(func() {
			for file := range work {
				compareCapture(t, r, file, lists, exceptions)
			}
		})
	}
	for _, file := range files {
		work <- file
	}
	close(work)
	group.Wait()
	return r
}

func compareCapture(t *testing.T, r *fieldResults, file string, lists map[string]protocolFields, exceptions fieldExceptions) {
	ours := ourMessages(t, file)
	var wanted []string
	for name, list := range lists {
		if slices.ContainsFunc(ours.seen, func(p string) bool { return slices.Contains(list.protocols, p) }) {
			wanted = append(wanted, name)
		}
	}
	if len(wanted) == 0 {
		return
	}
	slices.Sort(wanted)
	theirs, err := tsharkMessages(t.Context(), file, lists, wanted)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range wanted {
		r.compare(captureName(file), name, lists[name], ofList(ours.messages, lists[name]), theirs[name], exceptions)
	}
}

// captureName is that of fields_exceptions.tsv.
func captureName(file string) string {
	return filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
}

// ofList returns the messages that a list compares.
func ofList(messages []*ourMessage, list protocolFields) []*ourMessage {
	return slices.DeleteFunc(slices.Clone(messages), func(m *ourMessage) bool {
		return !slices.Contains(list.protocols, m.event.Protocol) || list.kinds != nil && !slices.Contains(list.kinds, m.event.Kind)
	})
}

// ourView is what flowscope says of a capture. seen are the protocols of its
// flows, by content or by port: tshark goes by the latter.
type ourView struct {
	messages []*ourMessage
	seen     []string
}

func ourMessages(t *testing.T, file string) *ourView {
	src, err := ingest.Open(file)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return &ourView{}
	}
	defer src.Close()
	rec := recordSource(t, file, &firstPackets{src, fieldLimit()}, 1)
	view := &ourView{}
	for i, ev := range rec.events {
		if ev.Flow == nil {
			continue
		}
		view.see(ev.Protocol)
		for _, f := range conformanceRegistry.Factories() {
			p := f.Protocol()
			if slices.Contains(p.Transports, ev.Flow.Transport) && (slices.Contains(p.Ports, ev.Flow.Src.Port()) || slices.Contains(p.Ports, ev.Flow.Dst.Port())) {
				view.see(p.Name)
			}
		}
		if ev.Type == session.Application {
			m, _ := decodeMap(t, []byte(rec.payloads[i]))["message"].(map[string]any)
			view.messages = append(view.messages, &ourMessage{event: ev, message: m})
		}
	}
	return view
}

func (v *ourView) see(protocol string) {
	if !slices.Contains(v.seen, protocol) {
		v.seen = append(v.seen, protocol)
	}
}

func fieldLimit() int {
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		return 1 << 30
	}
	return fieldPackets
}

// firstPackets is a source of so many packets.
type firstPackets struct {
	ingest.Source
	left int
}

func (s *firstPackets) ReadBatch(batch []ingest.Packet) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.Source.ReadBatch(batch[:min(len(batch), s.left)])
	s.left -= n
	return n, err
}

// compare pairs the messages of a capture and counts their values.
func (r *fieldResults) compare(capture, name string, list protocolFields, ours []*ourMessage, theirs []*theirMessage, exceptions fieldExceptions) {
	pairs := pairMessages(list, ours, theirs)
	n := r.messages[name]
	for _, p := range pairs {
		switch {
		case p.theirs == nil && list.whole && p.ours.event.Truncated:
			continue
		case p.theirs == nil:
			n[1]++
		case p.ours == nil:
			n[2]++
		default:
			n[0]++
		}
		for _, rule := range list.rules {
			r.count(capture, fieldKey{name, rule.key}, rule, p, exceptions)
		}
	}
	r.messages[name] = n
}

// messagePair is a message as both see it; one of them may be nil.
type messagePair struct {
	ours   *ourMessage
	theirs *theirMessage
}

// pairMessages puts together what stands in the same packet, in its order; what
// is left by its ports and identity, whenever it was.
func pairMessages(list protocolFields, ours []*ourMessage, theirs []*theirMessage) (pairs []messagePair) {
	byPlace := map[string][]*theirMessage{}
	for _, m := range theirs {
		byPlace[m.place()] = append(byPlace[m.place()], m)
	}
	for _, m := range ours {
		if there := byPlace[m.place()]; len(there) > 0 {
			byPlace[m.place()] = there[1:]
			m.used, there[0].used = true, true
			pairs = append(pairs, messagePair{m, there[0]})
		}
	}
	var identity *fieldRule
	for i := range list.rules {
		if list.rules[i].key == list.identity {
			identity = &list.rules[i]
		}
	}
	for _, m := range ours {
		if m.used {
			continue
		}
		pair := messagePair{ours: m}
		_, ports, _ := strings.Cut(m.place(), " ")
		for _, there := range theirs {
			if identity != nil && !there.used && there.ports == ports && slices.Equal(identity.ours(m), identity.theirs(there.layer)) {
				there.used, pair.theirs = true, there
				break
			}
		}
		pairs = append(pairs, pair)
	}
	for _, m := range theirs {
		if !m.used {
			pairs = append(pairs, messagePair{theirs: m})
		}
	}
	return pairs
}

// count compares one key of one message.
func (r *fieldResults) count(capture string, key fieldKey, rule fieldRule, p messagePair, exceptions fieldExceptions) {
	c := r.counts[key]
	if c == nil {
		c = &fieldCount{}
		r.counts[key] = c
	}
	var ours, theirs []string
	if p.ours != nil {
		ours = rule.ours(p.ours)
	}
	if p.theirs != nil {
		theirs = rule.theirs(p.theirs.layer)
	}
	var n fieldCount
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(ours):
			n.missing++
		case i >= len(theirs):
			n.extra++
		case ours[i] == theirs[i]:
			n.agree++
		default:
			n.differ++
		}
	}
	c.agree += n.agree
	bad := n.differ + n.missing + n.extra
	if bad == 0 {
		return
	}
	if exceptions.covers(capture, key) {
		c.excepted += bad
		return
	}
	c.differ += n.differ
	c.missing += n.missing
	c.extra += n.extra
	if len(r.examples[key]) < 5 {
		where := ""
		if p.ours != nil {
			where = p.ours.place()
		} else {
			where = p.theirs.place()
		}
		r.examples[key] = append(r.examples[key], fmt.Sprintf("%s at %s: we say %.300q, tshark %.300q", capture, where, ours, theirs))
	}
}

// reportFields prints the table of one protocol and holds the share of values
// that agree.
func reportFields(t *testing.T, name string, list protocolFields, r *fieldResults) fieldCount {
	var b strings.Builder
	n := r.messages[name]
	fmt.Fprintf(&b, "\n%s: %d messages of both, %d only ours, %d only tshark's\n", name, n[0], n[1], n[2])
	fmt.Fprintf(&b, "%-28s %8s %8s %8s %8s %8s %9s\n", "key", "agree", "differ", "missing", "extra", "excepted", "share")
	var all fieldCount
	for _, rule := range list.rules {
		key := fieldKey{name, rule.key}
		c := r.counts[key]
		if c == nil {
			c = &fieldCount{}
		}
		fmt.Fprintf(&b, "%-28s %8d %8d %8d %8d %8d %8.3f%%\n", rule.key, c.agree, c.differ, c.missing, c.extra, c.excepted, 100*c.share())
		if c.agree == 0 {
			t.Errorf("%s %s: nothing to compare", name, rule.key)
		} else if c.share() < minFieldAgreement {
			t.Errorf("%s %s: %.3f %% of the values agree, want %.1f\n\t%s", name, rule.key, 100*c.share(), 100*minFieldAgreement, strings.Join(r.examples[key], "\n\t"))
		}
		all.agree += c.agree
		all.differ += c.differ
		all.missing += c.missing
		all.extra += c.extra
		all.excepted += c.excepted
	}
	fmt.Fprintf(&b, "%-28s %8d %8d %8d %8d %8d %8.3f%%\n", "all", all.agree, all.differ, all.missing, all.extra, all.excepted, 100*all.share())
	t.Log(b.String())
	return all
}

// fieldException is a line of testdata/fields_exceptions.tsv: a capture ("*" is
// any), protocol and key about which we differ from tshark.
type fieldException struct{ capture, protocol, key string }

type exceptionUse struct{ used bool }

type fieldExceptions map[fieldException]*exceptionUse

// covers says whether a difference is an exception, and notes that it is used.
func (x fieldExceptions) covers(capture string, key fieldKey) bool {
	for _, c := range []string{capture, "*"} {
		if use := x[fieldException{c, key.protocol, key.key}]; use != nil {
			use.used = true
			return true
		}
	}
	return false
}

func loadFieldExceptions(tb testing.TB) fieldExceptions {
	tb.Helper()
	text, err := os.ReadFile("testdata/fields_exceptions.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	exceptions := fieldExceptions{}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 5 || slices.Contains(cells, "") {
			tb.Fatalf("fields_exceptions.tsv:%d: want 5 cells: capture, protocol, key, reason, proof", n+1)
		}
		exceptions[fieldException{cells[0], cells[1], cells[2]}] = &exceptionUse{}
	}
	return exceptions
}

// tsharkNode is a layer or a field of tshark's JSON, whose keys may repeat.
type tsharkNode struct {
	key, value string
	children   []*tsharkNode
}

// all returns the values of a field anywhere below, in their order.
func (n *tsharkNode) all(field string) (values []string) {
	if n.key == field && n.children == nil {
		values = append(values, n.value)
	}
	for _, c := range n.children {
		values = append(values, c.all(field)...)
	}
	return values
}

// first returns the first value of a field, "" if there is none.
func (n *tsharkNode) first(field string) string {
	if values := n.all(field); len(values) > 0 {
		return values[0]
	}
	return ""
}

// below returns the nodes whose key begins so, in their order.
func (n *tsharkNode) below(prefix string) (nodes []*tsharkNode) {
	for _, c := range n.children {
		if strings.HasPrefix(c.key, prefix) {
			nodes = append(nodes, c)
		} else {
			nodes = append(nodes, c.below(prefix)...)
		}
	}
	return nodes
}

// tsharkMessages runs tshark over a capture and returns the messages of the
// wanted protocols.
func tsharkMessages(ctx context.Context, file string, lists map[string]protocolFields, wanted []string) (map[string][]*theirMessage, error) {
	args := []string{"-n", "-r", file, "-c", strconv.Itoa(fieldLimit()), "-T", "json"}
	show, filter := []string{"frame", "udp", "tcp"}, []string{}
	for _, name := range wanted {
		for _, layer := range lists[name].layers {
			show, filter = append(show, layer), append(filter, layer)
		}
		args = append(args, lists[name].options...)
	}
	args = append(args, "-J", strings.Join(show, " "), "-Y", strings.Join(filter, "||"))
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tshark", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	printed, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	messages := map[string][]*theirMessage{}
	parseErr := readTshark(printed, func(layers *tsharkNode) {
		for _, name := range wanted {
			messages[name] = append(messages[name], messagesOf(layers, lists[name])...)
		}
	})
	_, _ = io.Copy(io.Discard, printed)
	// A capture that is cut off is read as far as it goes; status 2 says so.
	var status *exec.ExitError
	if err := cmd.Wait(); err != nil && !(errors.As(err, &status) && status.ExitCode() == 2) {
		return nil, fmt.Errorf("tshark: %w: %s", err, complaint.String())
	}
	return messages, parseErr
}

// messagesOf returns the messages of one protocol in one frame.
func messagesOf(layers *tsharkNode, list protocolFields) (messages []*theirMessage) {
	transport, ports := "", ""
	seconds, fraction, _ := strings.Cut(layers.first("frame.time_epoch"), ".")
	s, _ := strconv.ParseInt(seconds, 10, 64)
	ns, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	for _, l := range layers.children {
		switch {
		case l.key == "icmp" || l.key == "icmpv6":
			return messages // the rest quotes another packet
		case l.key == "udp" || l.key == "tcp":
			transport, ports = l.key, l.first(l.key+".srcport")+">"+l.first(l.key+".dstport")
		case slices.Contains(list.layers, l.key) && (list.transports == nil || slices.Contains(list.transports, transport)):
			parts := []*tsharkNode{l}
			if list.split != nil {
				parts = list.split(l)
			}
			for _, p := range parts {
				messages = append(messages, &theirMessage{layer: p, time: s*1e9 + ns, ports: ports})
			}
		}
	}
	return messages
}

// readTshark reads tshark's array of frames and hands the layers of each on.
func readTshark(r io.Reader, each func(layers *tsharkNode)) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("want a list of frames, got %v (%w)", t, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	for d.More() {
		frame := &tsharkNode{}
		if err := readNode(d, frame); err != nil {
			return err
		}
		for _, l := range frame.below("layers") {
			each(l)
		}
	}
	return nil
}

// readNode reads one value into n; the elements of a list become children of the
// same key.
func readNode(d *json.Decoder, n *tsharkNode) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		n.children = []*tsharkNode{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return err
			}
			c := &tsharkNode{key: key.(string)}
			if err := readNode(d, c); err != nil {
				return err
			}
			n.children = append(n.children, c)
		}
		_, err = d.Token()
	case json.Delim('['):
		n.children = []*tsharkNode{}
		for d.More() {
			c := &tsharkNode{key: n.key}
			if err := readNode(d, c); err != nil {
				return err
			}
			n.children = append(n.children, c)
		}
		_, err = d.Token()
	default:
		n.value = fmt.Sprint(t)
	}
	return err
}

// rule compares the values at a path of our message with those of a field.
func rule(path, field string, tidy func(string) string) fieldRule {
	return fieldRule{
		key:    path,
		ours:   func(m *ourMessage) []string { return valuesAt(m.message, path) },
		theirs: func(l *tsharkNode) []string { return tidied(l.all(field), tidy) },
	}
}

// absent is what a tidy function returns for a value that is none.
const absent = "\x00absent"

func tidied(values []string, tidy func(string) string) (tidy0 []string) {
	for _, v := range values {
		if tidy != nil {
			v = tidy(v)
		}
		if v != absent {
			tidy0 = append(tidy0, v)
		}
	}
	return tidy0
}

// valuesAt returns the values at a path such as answers[].name as text: booleans
// as 1 and 0, times in nanoseconds.
func valuesAt(v any, path string) []string {
	if path == "" {
		return leafTexts(v)
	}
	key, rest, _ := strings.Cut(path, ".")
	key, isList := strings.CutSuffix(key, "[]")
	m, _ := v.(map[string]any)
	inner, there := m[key]
	if !there {
		return nil
	}
	list, _ := inner.([]any)
	if !isList {
		return valuesAt(inner, rest)
	}
	var values []string
	for _, e := range list {
		values = append(values, valuesAt(e, rest)...)
	}
	return values
}

func leafTexts(v any) []string {
	switch v := v.(type) {
	case bool:
		if v {
			return []string{"1"}
		}
		return []string{"0"}
	case []byte:
		return []string{string(v)}
	case time.Time:
		return []string{strconv.FormatInt(v.UnixNano(), 10)}
	case []any:
		var values []string
		for _, e := range v {
			values = append(values, leafTexts(e)...)
		}
		return values
	default:
		return []string{fmt.Sprint(v)}
	}
}

// number writes tshark's numbers, hexadecimal ones too, in decimal digits.
func number(s string) string {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return s
	}
	return strconv.FormatUint(n, 10)
}

// signed8 reads a number of 8 bits as signed.
func signed8(s string) string {
	n, err := strconv.ParseUint(s, 0, 8)
	if err != nil {
		return s
	}
	return strconv.Itoa(int(int8(n)))
}

// octets writes tshark's 01:02 as 0102.
func octets(s string) string { return strings.ReplaceAll(s, ":", "") }

// instant writes tshark's absolute times in nanoseconds.
func instant(s string) string {
	if s == "NULL" {
		return absent
	}
	t, err := time.Parse("Jan _2, 2006 15:04:05.999999999 MST", s)
	if err != nil {
		return s
	}
	return strconv.FormatInt(t.UnixNano(), 10)
}

// interval writes tshark's seconds in nanoseconds.
func interval(s string) string {
	seconds, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(seconds+(fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return s
	}
	return strconv.FormatInt(n, 10)
}
