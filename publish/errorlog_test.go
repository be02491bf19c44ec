package publish

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flowscope/publish/embedded"
)

// A stream that refuses even what tells of its refusals does not fill the log.
func TestRefusedLettersAreAFewLines(t *testing.T) {
	log := &syncBuffer{}
	srv := startServer(t, embedded.Config{})
	sc := streamConfig(DefaultConfig().Resolved())
	sc.MaxMsgSize = 100
	if _, err := jetStreamOf(t, srv).CreateStream(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, DefaultConfig(), Options{Registry: deliveryRegistry(t), Log: slog.New(slog.NewTextHandler(log, nil))}, newJetStreamFor(t, srv, DefaultConfig()))
	sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
	const n = 500
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if e := p.Ledger().Events; e.DeadLetter != n {
		t.Errorf("%+v, want %d dead letters", e, n)
	}
	lines := strings.Count(log.String(), "\n")
	if lines == 0 || lines > maxErrors || !strings.Contains(log.String(), "flowscope.sensor.dead_letter") {
		t.Errorf("%d lines, want one or a few that name the subject:\n%s", lines, log)
	}
}

// Thousands of reports are a few lines, which say how many there were.
func TestErrorLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := errorLog{log: slog.New(slog.NewTextHandler(&out, nil)), message: "trouble"}
		lines := func() []string {
			all := strings.Split(strings.TrimSpace(out.String()), "\n")
			out.Reset()
			return all
		}
		one, two := errors.New("no permission for one"), errors.New("no permission for two")
		for range 4000 {
			l.tell(one)
			l.tell(two)
		}
		if got := lines(); len(got) != 2 || !strings.Contains(got[0], one.Error()) || !strings.Contains(got[1], two.Error()) {
			t.Errorf("two errors again and again are told as\n%s", strings.Join(got, "\n"))
		}
		time.Sleep(errorInterval)
		l.tell(one)
		if got := lines(); len(got) != 1 || !strings.HasSuffix(got[0], "untold_before=7998") {
			t.Errorf("later: %s", strings.Join(got, "\n"))
		}
		time.Sleep(errorInterval)
		for i := range 1000 {
			l.tell(fmt.Errorf("no permission for %d", i))
		}
		if got := lines(); len(got) != maxErrors {
			t.Errorf("%d lines, want %d", len(got), maxErrors)
		}
	})
}
