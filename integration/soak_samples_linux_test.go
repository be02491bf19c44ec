package integration

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// sample is what a sensor takes at one moment: bytes, and numbers of things.
type sample struct {
	at                                    time.Duration // since the beginning
	heap, rss, goroutines, files, threads float64
}

// taken are the things of a sample, by name.
var taken = []struct {
	name string
	of   func(sample) float64
}{
	{"heap", func(s sample) float64 { return s.heap }},
	{"resident memory", func(s sample) float64 { return s.rss }},
	{"goroutines", func(s sample) float64 { return s.goroutines }},
	{"open files", func(s sample) float64 { return s.files }},
	{"threads", func(s sample) float64 { return s.threads }},
}

var statusLine = regexp.MustCompile(`(?m)^(VmRSS|Threads):\s+(\d+)`)

var liveHeap = regexp.MustCompile(`(?m)^go_gc_heap_live_bytes (\S+)$`)

// sample measures the sensor. The heap is what was reachable at a collection that it is
// asked for, by way of the heap's profile. The bytes of all objects after it are not:
// writing the profile alone makes megabytes of garbage, and more the longer the sensor
// runs, for the profile gets longer.
func (s *soak) sample(at time.Duration) sample {
	s.t.Helper()
	s.get(s.t, "http://127.0.0.1:9477/debug/pprof/heap?gc=1")
	var heap float64
	metrics := s.get(s.t, "http://127.0.0.1:9477/metrics")
	if m := liveHeap.FindStringSubmatch(metrics); m != nil {
		heap, _ = strconv.ParseFloat(m[1], 64)
	}
	if heap == 0 {
		s.t.Fatalf("no live heap in /metrics:\n%s", metrics)
	}
	now := s.status()
	proc := fmt.Sprintf("/proc/%d", s.run.cmd.Process.Pid)
	raw, err := os.ReadFile(proc + "/status")
	if err != nil {
		s.t.Fatal(err)
	}
	of := map[string]float64{}
	for _, m := range statusLine.FindAllStringSubmatch(string(raw), -1) {
		if of[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			s.t.Fatal(err)
		}
	}
	files, err := filepath.Glob(proc + "/fd/*")
	if err != nil || len(files) == 0 || of["VmRSS"] == 0 || of["Threads"] == 0 {
		s.t.Fatalf("%s: %d files, %v, %v", proc, len(files), of, err)
	}
	return sample{at, heap, of["VmRSS"] * 1024, float64(now.Goroutines), float64(len(files)), of["Threads"]}
}

// point is one value at one time.
type point struct {
	at    time.Duration
	value float64
}

// lows are the least values of each window. What is taken for a while, by a request,
// a connection being made, or a burst of flows, goes again and is in no low; what has
// leaked is in every later one.
func lows(samples []sample, of func(sample) float64, window time.Duration) (points []point) {
	if len(samples) == 0 {
		return nil
	}
	first := samples[0].at
	for _, s := range samples {
		n := int((s.at - first) / window)
		if n >= len(points) {
			points = append(points, point{s.at, of(s)})
		}
		if last := &points[len(points)-1]; of(s) < last.value {
			*last = point{s.at, of(s)}
		}
	}
	return points
}

// medians are the middle values of each window. Counts also dip: while a connection
// is made anew there is a file less.
func medians(samples []sample, of func(sample) float64, window time.Duration) (points []point) {
	for rest := samples; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(s sample) bool { return s.at-rest[0].at >= window })
		if n < 0 {
			n = len(rest)
		}
		var values []float64
		for _, s := range rest[:n] {
			values = append(values, of(s))
		}
		points = append(points, point{rest[n/2].at, median(values)})
		rest = rest[n:]
	}
	return points
}

// trend is the slope of points per hour, by Theil and Sen: the median of the slopes
// between any two. Unlike a line of least squares it is moved little by single values
// that are off, at the ends above all, and needs no assumption about how they scatter
// (Sen 1968, "Estimates of the Regression Coefficient Based on Kendall's Tau").
func trend(points []point) float64 {
	var slopes []float64
	for i, p := range points {
		for _, q := range points[i+1:] {
			slopes = append(slopes, (q.value-p.value)/(q.at-p.at).Hours())
		}
	}
	return median(slopes)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func valuesOf(points []point) (values []float64) {
	for _, p := range points {
		values = append(values, p.value)
	}
	return values
}

// perHour is the trend as a share of the level.
func perHour(points []point) float64 { return trend(points) / median(valuesOf(points)) }

// growth is what the second half has over the first, as a share.
func growth(points []point) float64 {
	half := len(points) / 2
	return median(valuesOf(points[half:]))/median(valuesOf(points[:half])) - 1
}

// judgeHour wants memory and goroutines to grow by less than one percent an hour.
func judgeHour(t *testing.T, samples []sample, window time.Duration) {
	for i, m := range taken[:3] {
		points := lows(samples, m.of, window)
		if i == 2 {
			points = medians(samples, m.of, window)
		}
		if share := perHour(points); len(points) < 15 || !(share < 0.01) {
			t.Errorf("%s grow by %.2f %% an hour, over %d windows: %v", m.name, 100*share, len(points), points)
		}
	}
	judgeCounts(t, samples, window)
}

// judgeMinutes wants memory to grow by less than a tenth over two minutes. In that
// time pass some 30,000 events of 7,000 flows, and the heap holds some 8 MB: what
// loses a hundred bytes with each event is found.
func judgeMinutes(t *testing.T, samples []sample, window time.Duration) {
	for _, m := range taken[:2] {
		points := lows(samples, m.of, window)
		if share := growth(points); len(points) < 4 || !(share < 0.1) {
			t.Errorf("%s grow by %.1f %%, over %d windows: %v", m.name, 100*share, len(points), points)
		}
	}
	judgeCounts(t, samples, window)
}

// moreThreads may come while a sensor runs: the runtime keeps each thread that it
// ever needed, and needs one more when one more system call blocks at the same time.
const moreThreads = 4

// judgeCounts wants things that are counted to be back at their level: the least of
// the last window is no more than was usual in the first.
func judgeCounts(t *testing.T, samples []sample, window time.Duration) {
	for _, m := range taken {
		points, usual := lows(samples, m.of, window), medians(samples, m.of, window)
		first, last := usual[0].value, points[len(points)-1].value
		more := 0.0
		switch m.name {
		case "threads":
			more = moreThreads
			fallthrough
		case "goroutines", "open files":
			if last > first+more {
				t.Errorf("%.0f %s, %.0f at first: %v, %v", last, m.name, first, points, usual)
			}
		}
		t.Logf("%-15s %12.0f at first, %12.0f at last, median %12.0f, trend %+.3f %%/h, %d windows",
			m.name, points[0].value, last, median(valuesOf(points)), 100*perHour(points), len(points))
	}
}

// TestSoakFindsLeaks gives the judges sensors that leak, and one that does not.
func TestSoakFindsLeaks(t *testing.T) {
	// Busy by turns, as if connections came and went, and once for a moment very busy.
	random := rand.New(rand.NewPCG(1, 2))
	made := func(length time.Duration, leak float64) (samples []sample) {
		for at := time.Duration(0); at < length; at += 5 * time.Second {
			n := float64(at / (5 * time.Second))
			heap := 30e6 * (1 + leak*at.Hours() + 0.05*random.Float64())
			if n == 100 {
				heap *= 3
			}
			samples = append(samples, sample{at, heap, heap, 20, 15, 9})
		}
		return samples
	}
	const window = 150 * time.Second
	for _, leak := range []float64{-0.05, 0, 0.005, 0.02, 0.1} {
		share := perHour(lows(made(50*time.Minute, leak), taken[0].of, window))
		if math.Abs(share-leak) > 0.005 {
			t.Errorf("a leak of %.1f %% an hour is found to be %.2f %%", 100*leak, 100*share)
		}
	}
	for _, leak := range []float64{0, 6} {
		share := growth(lows(made(2*time.Minute, leak), taken[0].of, 20*time.Second))
		if found := share > 0.05; found != (leak > 0) {
			t.Errorf("a leak of %.0f %% in a minute shows as %.1f %%", 100*leak/60, 100*share)
		}
	}
	if !math.IsNaN(perHour(nil)) {
		t.Error("no sample at all has a trend")
	}
}
