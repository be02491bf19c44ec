// Package progress shows how far a long reading is, on one line of a terminal.
//
// In goes a function that says how many bytes were read of how many; out go lines
// that replace each other. One goroutine draws; it ends before Stop returns. What
// others write meanwhile goes through Bar.Write, which takes the line away first.
//
// The package does not find out whether there is a terminal: do not start a Bar
// without one.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// interval is how often the line is drawn.
const interval = 200 * time.Millisecond

// clear goes to the start of the line and erases it.
const clear = "\r\x1b[K"

// Bar is a line that shows progress.
type Bar struct {
	mu    sync.Mutex
	w     io.Writer
	shown bool
	done  bool

	stop chan struct{}
	wait sync.WaitGroup
}

// Start draws until Stop is called. progress returns the bytes read, and how many
// there are, 0 if that is unknown; it is called from the bar's goroutine.
func Start(w io.Writer, progress func() (done, total int64)) *Bar {
	b := &Bar{w: w, stop: make(chan struct{})}
	start := time.Now()
	b.wait.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-b.stop:
				return
			case <-tick.C:
				done, total := progress()
				b.draw(Line(done, total, time.Since(start)))
			}
		}
	})
	return b
}

func (b *Bar) draw(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	io.WriteString(b.w, clear+line) // a terminal that is gone is no failure
	b.shown = true
}

// Write takes the line away and writes p in its place.
func (b *Bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
	return b.w.Write(p)
}

func (b *Bar) erase() {
	if b.shown {
		io.WriteString(b.w, clear)
		b.shown = false
	}
}

// Stop takes the line away for good. It is safe to call twice.
func (b *Bar) Stop() {
	b.mu.Lock()
	if !b.done {
		b.done = true
		close(b.stop)
	}
	b.mu.Unlock()
	b.wait.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
}

// Line is what the bar shows: part, bytes, rate and time left, as far as they are
// known.
func Line(done, total int64, elapsed time.Duration) string {
	rate := 0.0
	if elapsed > 0 {
		rate = float64(done) / elapsed.Seconds()
	}
	if total <= 0 {
		return fmt.Sprintf("%s  %s/s", size(float64(done)), size(rate))
	}
	part := float64(done) / float64(total)
	line := fmt.Sprintf("%s %3.0f %%  %s of %s  %s/s", gauge(part), 100*part,
		size(float64(done)), size(float64(total)), size(rate))
	if rate > 0 && done < total {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		line += "  " + clock(left) + " left"
	}
	return line
}

const gaugeWidth = 20

func gauge(part float64) string {
	b := []byte("[                    ]")
	for i := range min(gaugeWidth, int(part*gaugeWidth)) {
		b[1+i] = '='
	}
	return string(b)
}

func size(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for bytes >= 1024 && i < len(units)-1 {
		bytes /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	return fmt.Sprintf("%.1f %s", bytes, units[i])
}

func clock(d time.Duration) string {
	s := int64(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
