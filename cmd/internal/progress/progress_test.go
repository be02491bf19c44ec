package progress

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLine(t *testing.T) {
	tests := []struct {
		name        string
		done, total int64
		elapsed     time.Duration
		want        string
	}{
		{"half", 512, 1024, time.Second, "[==========          ]  50 %  512 B of 1.0 KiB  512 B/s  0:01 left"},
		{"end", 1024, 1024, time.Second, "[====================] 100 %  1.0 KiB of 1.0 KiB  1.0 KiB/s"},
		{"unknown end", 3 << 20, 0, 2 * time.Second, "3.0 MiB  1.5 MiB/s"},
		{"nothing yet", 0, 1 << 30, 0, "[                    ]   0 %  0 B of 1.0 GiB  0 B/s"},
		{"hours", 1, 7201, time.Second, "[                    ]   0 %  1 B of 7.0 KiB  1 B/s  2:00:00 left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Line(tt.done, tt.total, tt.elapsed); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What others write stands on lines of its own, and nothing is left of the bar.
func TestBarMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := Start(&out, func() (int64, int64) { return 1, 2 })
		time.Sleep(interval + interval/2) // synthetic time
		b.Write([]byte("note\n"))
		b.Stop()
		b.Stop()
		if got := out.String(); !strings.HasSuffix(got, clear+"note\n") || !strings.Contains(got, "50 %") {
			t.Errorf("%q", got)
		}
	})
}
