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
)

// Thousands of reports are a few lines, which say how many there were.
func TestErrorLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := errorLog{log: slog.New(slog.NewTextHandler(&out, nil))}
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
