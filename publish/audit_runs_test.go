package publish

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
	"flowscope/session"
)

// publishRun publishes so many queries per worker as one run, and its ledger. Those of
// all runs are the same events.
func publishRun(t *testing.T, srv *embedded.Server, reg *session.Registry, cfg Config, run string, perWorker ...int) *Ledger {
	t.Helper()
	p := runPublisher(t, cfg, Options{Registry: reg, Run: run, Workers: len(perWorker)}, newJetStreamFor(t, srv, cfg))
	for worker, n := range perWorker {
		sink, m := p.Sink(worker), newMaker(reg, byte(worker+1))
		for range n {
			sink.HandleEvent(m.event(t, "dns", "query"))
		}
		sink.Close()
		if err := p.Flush(within(t, 10*time.Second)); err != nil { // one worker after the other
			t.Fatal(err)
		}
	}
	l := p.Ledger()
	if err := p.PublishSensor(l); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	return l
}

func auditAll(t *testing.T, js jetstream.JetStream, subjects ...string) *AuditReport {
	t.Helper()
	r, err := Audit(within(t, 10*time.Second), js.Conn(), SubscribeConfig{Subjects: subjects}, []string{"flowscope.sensor.heartbeat", "flowscope.sensor.ledger"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// removeLastOf removes the message that has a number.
func removeLastOf(t *testing.T, js jetstream.JetStream, number string) {
	t.Helper()
	for d, err := range Subscribe(within(t, 10*time.Second), js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, UntilCaughtUp: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Header[SeqHeader][0] != number {
			continue
		}
		stream, err := js.Stream(t.Context(), "FLOWSCOPE")
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(t.Context(), d.Sequence); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no message %s", number)
}

// TestAuditOfRunsThatRepeat: what a stream had already is not missing from the run that
// came with it again, but all else is.
func TestAuditOfRunsThatRepeat(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	js := jetStreamOf(t, srv)
	const subject = "flowscope.dns.query"
	first := publishRun(t, srv, reg, DefaultConfig(), "r1", 20, 30)
	publishRun(t, srv, reg, DefaultConfig(), "r2", 20, 30)
	more := publishRun(t, srv, reg, DefaultConfig(), "r3", 25, 30, 10)
	if diff := cmp.Diff([]LastNumber{{subject, 0, 20, 0}, {subject, 1, 30, 0}}, first.Last); diff != "" {
		t.Errorf("first run -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]LastNumber{{subject, 0, 25, 20}, {subject, 1, 30, 30}, {subject, 2, 10, 0}}, more.Last); diff != "" {
		t.Errorf("third run -want +got:\n%s", diff)
	}
	r := auditAll(t, js, "flowscope.>")
	var elsewhere []uint64
	for i := range r.Runs {
		elsewhere = append(elsewhere, r.Runs[i].Elsewhere)
	}
	if diff := cmp.Diff([]uint64{0, 50, 50}, elsewhere); diff != "" || !r.Clean() || !r.Whole {
		t.Fatalf("undamaged: %+v, elsewhere -want +got:\n%s", r, diff)
	}

	for _, number := range []string{"r1.0.3", "r3.0.23", "r3.2.10", "r3.2.9"} {
		removeLastOf(t, js, number)
	}
	for _, subjects := range [][]string{{"flowscope.>"}, {subject}} {
		r = auditAll(t, js, subjects...)
		missing := map[string]uint64{}
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Missing > 0 {
				missing[fmt.Sprintf("%s.%d", row.Run, row.Worker)] = row.Missing
			}
		}
		if diff := cmp.Diff(map[string]uint64{"r1.0": 1, "r3.0": 1}, missing); diff != "" {
			t.Errorf("%v: missing in between -want +got:\n%s", subjects, diff)
		}
		if diff := cmp.Diff(map[string]uint64{subject: 2}, r.Runs[2].Short); diff != "" || r.Clean() || len(r.Runs[0].Short)+len(r.Runs[1].Short) > 0 {
			t.Errorf("%v: %+v, missing at the end -want +got:\n%s", subjects, r.Runs, diff)
		}
	}
}

// TestAuditWithoutTheStart: what limits have removed is not missing, though a worker has
// nothing left; what is missing behind is.
func TestAuditWithoutTheStart(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	js := jetStreamOf(t, srv)
	publishRun(t, srv, reg, DefaultConfig(), "r1", 20, 30)
	stream, err := js.Stream(t.Context(), "FLOWSCOPE")
	if err != nil {
		t.Fatal(err)
	}
	if r := auditAll(t, js, "flowscope.>"); !r.Clean() || !r.Whole {
		t.Fatalf("undamaged: %+v", r)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(26)); err != nil {
		t.Fatal(err)
	}
	if r := auditAll(t, js, "flowscope.>"); !r.Clean() || r.Whole || r.Rows[0].First != 6 {
		t.Fatalf("without its start: %+v", r)
	}
	removeLastOf(t, js, "r1.1.30")
	if r := auditAll(t, js, "flowscope.>"); r.Runs[0].Short["flowscope.dns.query"] != 1 {
		t.Fatalf("without its end: %+v", r)
	}
}

// TestAuditBySubjectLimits: a limit for each subject removes messages, though the
// stream's first one stays.
func TestAuditBySubjectLimits(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	js := jetStreamOf(t, srv)
	cfg := DefaultConfig()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "FLOWSCOPE", Subjects: []string{"flowscope.>"}, MaxMsgsPerSubject: 10,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "flowscope.other.first", nil); err != nil {
		t.Fatal(err)
	}
	publishRun(t, srv, reg, cfg, "r1", 20, 30)
	if r := auditAll(t, js, "flowscope.dns.query"); !r.Clean() || r.Whole || r.Events != 10 {
		t.Fatalf("%+v", r)
	}
}

// TestAuditOfNothing has nothing, and says so by its counts.
func TestAuditOfNothing(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	publishRun(t, srv, reg, DefaultConfig(), "r1", 2)
	if r := auditAll(t, jetStreamOf(t, srv), "flowscope.dns.querry"); !r.Clean() || r.Messages != 0 || len(r.Rows) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestAuditOfLedgerWithoutNumbers reads what earlier sensors have told.
func TestAuditOfLedgerWithoutNumbers(t *testing.T) {
	told := &saying{ledger: map[string]uint64{"a.b.c": 10, "a.b.d": 3}}
	for _, whole := range []bool{true, false} {
		a := &auditor{subjects: []string{"a.>"}, whole: whole, rows: map[auditKey]*auditRow{
			{"r", 0, "a.b.c"}: {have: []Range{{1, 4}}}, {"r", 1, "a.b.c"}: {have: []Range{{1, 5}}},
		}}
		var want map[string]uint64
		if whole {
			want = map[string]uint64{"a.b.c": 1, "a.b.d": 3}
		}
		r := a.report(sayings{"r": told})
		if diff := cmp.Diff(want, r.Runs[0].Short); diff != "" {
			t.Errorf("whole %v: -want +got:\n%s", whole, diff)
		}
	}
}

// TestWhereDuplicatesAre tells those of another run from our own, of which only the
// acknowledgement was lost.
func TestWhereDuplicatesAre(t *testing.T) {
	tests := []struct {
		name  string
		again bool
		seq   uint64
		want  uint64
	}{
		{"stored before it left", false, 5, 1},
		{"stored by another since", false, 15, 1},
		{"sent again, stored before it left first", true, 10, 1},
		{"sent again, stored since", true, 11, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &Publisher{account: newAccount(1, 1)}
			tr := &jetStream{p: p, slots: []slot{{batch: &Batch{Records: []Record{{}}}, again: tt.again, floor: 10}}}
			tr.noteDuplicate(0, tt.seq)
			if got := p.account.elsewhere[0][0]; got != tt.want {
				t.Errorf("%d elsewhere, want %d", got, tt.want)
			}
		})
	}
}
