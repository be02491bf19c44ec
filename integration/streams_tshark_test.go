package integration

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
)

// streamKey names one side of a connection; several of the same ends are told
// apart by their order.
type streamKey struct {
	src, dst string
	n        int
}

// TestStreamsAgainstTshark compares the bytes of every TCP stream of the captures,
// both directions, with tshark -z follow,tcp,raw.
func TestStreamsAgainstTshark(t *testing.T) {
	withoutRace(t)
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("tshark is missing: %v", err)
	}
	captures := map[string]string{}
	for _, name := range conformanceCaptures(t) {
		captures[name] = capturePath(t, name)
	}
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		for _, path := range loadCaptures(t) {
			captures["load/"+filepath.Base(path)] = path
		}
	} else {
		t.Log("the larger captures are left out without FLOWSCOPE_LONG=1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	streams, size := 0, 0
	for _, name := range slices.Sorted(maps.Keys(captures)) {
		got, connections := reassembled(t, captures[name])
		want := followed(ctx, t, captures[name], connections)
		streams += len(want)
		reason, listed := streamReasons[name]
		var differ []string
		both := maps.Clone(want)
		maps.Copy(both, got)
		for _, k := range slices.SortedFunc(maps.Keys(both), compareStreams) {
			size += len(want[k])
			if !bytes.Equal(got[k], want[k]) {
				differ = append(differ, fmt.Sprintf("%v: we have %s, tshark %s", k, extract(got[k], want[k]), extract(want[k], got[k])))
			}
		}
		switch {
		case len(differ) > 0 && !listed:
			t.Errorf("%s: %d streams differ: %s", name, len(differ), strings.Join(differ[:min(3, len(differ))], "; "))
		case len(differ) != reason.streams:
			t.Errorf("%s: %d streams differ, listed are %d: %s", name, len(differ), reason.streams, strings.Join(differ, "; "))
		}
	}
	t.Logf("%d streams of %d bytes compared", streams, size)
	if streams < 100 {
		t.Error("too few streams to mean anything")
	}
}

func compareStreams(a, b streamKey) int {
	return cmp.Or(cmp.Compare(a.src, b.src), cmp.Compare(a.dst, b.dst), cmp.Compare(a.n, b.n))
}

// extract shows where a stream begins to differ from another.
func extract(a, b []byte) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("%d bytes, from %d on %.40q", len(a), i, a[i:min(len(a), i+40)])
}

// missingBytes is what tshark writes where bytes of a stream are missing.
func missingBytes(n int) string { return fmt.Sprintf("[%d bytes missing in capture file]\x00", n) }

// collector is a flow.Handler that keeps the bytes of all streams.
type collector struct {
	open  map[uint32]*[2][]byte
	keys  map[uint32][2]streamKey
	count map[streamKey]int
	all   map[streamKey][]byte
}

func (c *collector) HandleEvent(e *flow.Event) {
	if e.Kind == flow.Opened {
		if e.Flow.Transport() != flow.TCP {
			e.Flow.Ignore()
			return
		}
		a, b := e.Flow.Endpoints()
		out, back := streamKey{src: a.String(), dst: b.String()}, streamKey{src: b.String(), dst: a.String()}
		pair := out
		if pair.dst < pair.src {
			pair = back
		}
		out.n, back.n = c.count[pair], c.count[pair]
		c.count[pair]++
		c.open[e.Slot], c.keys[e.Slot] = &[2][]byte{}, [2]streamKey{out, back}
	}
	both, ok := c.open[e.Slot]
	if !ok {
		return
	}
	switch e.Kind {
	case flow.Data:
		both[e.Side] = append(both[e.Side], e.Data...)
	case flow.Gap:
		both[e.Side] = append(both[e.Side], missingBytes(e.Length)...)
	case flow.Closed:
		for side, k := range c.keys[e.Slot] {
			if len(both[side]) > 0 {
				c.all[k] = both[side]
			}
		}
		delete(c.open, e.Slot)
	}
}
func (*collector) Tick(ingest.Timestamp) {}
func (*collector) Close()                {}

// reassembled returns what we find, and of how many connections.
func reassembled(tb testing.TB, path string) (all map[streamKey][]byte, connections int) {
	c := &collector{map[uint32]*[2][]byte{}, map[uint32][2]streamKey{}, map[streamKey]int{}, map[streamKey][]byte{}}
	table, err := flow.NewTable(flow.DefaultConfig(), "test", c)
	if err != nil {
		tb.Fatal(err)
	}
	src, err := ingest.Open(path)
	if err != nil {
		return nil, 0
	}
	defer src.Close()
	// A damaged capture ends with an error after what could be read.
	_ = ingest.Run(tb.Context(), src, flow.NewSpreader().Spread, []ingest.Handler{table})
	for _, n := range c.count {
		connections += n
	}
	return c.all, connections
}

// followed returns what tshark finds, of a few connections more than we know of.
func followed(ctx context.Context, tb testing.TB, path string, connections int) map[streamKey][]byte {
	all, count := map[streamKey][]byte{}, map[streamKey]int{}
	const together = 100
	for first, last := 0, connections+4; first <= last; first += together {
		args := []string{"-n", "-q", "-r", path}
		for i := first; i < min(first+together, last+1); i++ {
			args = append(args, "-z", fmt.Sprintf("follow,tcp,raw,%d", i))
		}
		out, _ := exec.CommandContext(ctx, "tshark", args...).Output()
		readFollowed(tb, out, all, count)
	}
	return all
}

// readFollowed reads blocks of "Filter: tcp.stream eq N", two nodes, and lines of
// hex, with a tab before those of the second node. The blocks come in any order.
func readFollowed(tb testing.TB, out []byte, all map[streamKey][]byte, count map[streamKey]int) {
	type block struct {
		n     int
		nodes [2]string
		data  [2][]byte
	}
	var blocks []*block
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		var n int
		switch {
		case strings.HasPrefix(line, "Filter: "):
			if _, err := fmt.Sscanf(line, "Filter: tcp.stream eq %d", &n); err != nil {
				tb.Fatal(err)
			}
			blocks = append(blocks, &block{n: n})
		case strings.HasPrefix(line, "Node "):
			blocks[len(blocks)-1].nodes[line[5]-'0'] = line[len("Node 0: "):]
		case line == "" || strings.HasPrefix(line, "=") || strings.HasPrefix(line, "Follow"):
		default:
			text, side := line, 0
			if text[0] == '\t' {
				text, side = text[1:], 1
			}
			data, err := hex.DecodeString(text)
			if err != nil {
				tb.Fatalf("tshark prints %.60q", line)
			}
			b := blocks[len(blocks)-1]
			b.data[side] = append(b.data[side], data...)
		}
	}
	slices.SortFunc(blocks, func(a, b *block) int { return a.n - b.n })
	for _, b := range blocks {
		if b.nodes[0] == ":0" {
			continue // there is no such stream
		}
		out, back := streamKey{src: b.nodes[0], dst: b.nodes[1]}, streamKey{src: b.nodes[1], dst: b.nodes[0]}
		pair := out
		if pair.dst < pair.src {
			pair = back
		}
		out.n, back.n = count[pair], count[pair]
		count[pair]++
		for side, k := range []streamKey{out, back} {
			if len(b.data[side]) > 0 {
				all[k] = b.data[side]
			}
		}
	}
}
