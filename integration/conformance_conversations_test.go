package integration

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flowscope/flow"
)

// minAgreement is the share of packets that lie in directions of conversations
// on which tshark and we agree, in packets and in bytes.
const minAgreement = 0.995

// TestConversations compares packets and bytes of every TCP and UDP conversation,
// in each direction, with tshark's. The larger captures are compared with
// FLOWSCOPE_LONG=1.
func TestConversations(t *testing.T) {
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
	// The long suite compares the larger captures too.
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		for _, path := range loadCaptures(t) {
			captures["load/"+filepath.Base(path)] = path
		}
	} else {
		t.Log("the larger captures are left out without FLOWSCOPE_LONG=1")
	}
	// otherwise are packets that both count, each in its own way.
	total, agreed, otherwise := uint64(0), uint64(0), uint64(0)
	for _, name := range slices.Sorted(maps.Keys(captures)) {
		path := captures[name]
		want := tsharkConversations(t.Context(), t, path)
		got := ourConversations(record(t, path, 1))
		reason, listed := conversationReasons[name]
		differ := false
		for _, d := range slices.SortedFunc(maps.Keys(union(got, want)), direction.compare) {
			ours, theirs := got[d], want[d]
			if ours.agrees(theirs) {
				total += ours.packets
				agreed += ours.packets
				continue
			}
			differ = true
			if reason.counting {
				otherwise += max(ours.packets, theirs.packets)
			} else {
				total += max(ours.packets, theirs.packets)
			}
			if !listed {
				t.Errorf("%s: %v: we say %v, tshark %v", name, d, ours, theirs)
			}
		}
		if listed && !differ {
			t.Errorf("%s: all conversations agree, but a reason for differences is listed: %s", name, reason.why)
		}
	}
	share := float64(agreed) / float64(max(total, 1))
	t.Logf("%d captures, %d of %d packets in directions that agree (%.3f %%), %d more counted in another way",
		len(captures), agreed, total, 100*share, otherwise)
	if share < minAgreement {
		t.Errorf("agreement on %.3f %% of packets, want at least %.1f %%", 100*share, 100*minAgreement)
	}
}

// direction is one way of a conversation.
type direction struct {
	transport flow.Transport
	from, to  netip.AddrPort
}

func (d direction) String() string { return fmt.Sprintf("%v %v > %v", d.transport, d.from, d.to) }

func (d direction) compare(o direction) int {
	return cmp.Or(cmp.Compare(d.transport, o.transport), d.from.Compare(o.from), d.to.Compare(o.to))
}

// volume counts packets and bytes of whole frames; tshark rounds bytes to
// thousands from some size on, which slack tells.
type volume struct{ packets, bytes, slack uint64 }

func (v volume) String() string { return fmt.Sprintf("%d packets %d bytes", v.packets, v.bytes) }

func (v volume) add(o volume) volume {
	return volume{v.packets + o.packets, v.bytes + o.bytes, v.slack + o.slack}
}

func (v volume) agrees(o volume) bool {
	return v.packets == o.packets && max(v.bytes, o.bytes)-min(v.bytes, o.bytes) <= v.slack+o.slack
}

func union(a, b map[direction]volume) map[direction]bool {
	all := map[direction]bool{}
	for d := range a {
		all[d] = true
	}
	for d := range b {
		all[d] = true
	}
	return all
}

func ourConversations(rec *recording) map[direction]volume {
	m := map[direction]volume{}
	for _, f := range rec.flows {
		if f.info.Transport != flow.TCP && f.info.Transport != flow.UDP {
			continue
		}
		for i, ends := range [][2]netip.AddrPort{{f.info.Src, f.info.Dst}, {f.info.Dst, f.info.Src}} {
			s := &f.stats.Sides[i]
			if s.Packets > 0 {
				d := direction{f.info.Transport, ends[0], ends[1]}
				m[d] = m[d].add(volume{packets: s.Packets, bytes: s.Bytes})
			}
		}
	}
	return m
}

var (
	tsharkTable = regexp.MustCompile(`^(TCP|UDP) Conversations$`)
	// tsharkRow has both ends, then packets and bytes to the left and to the right.
	tsharkRow = regexp.MustCompile(`^(\S+)\s+<->\s+(\S+)\s+(\d+) (\d+) (bytes|kB|MB)\s+(\d+) (\d+) (bytes|kB|MB)\s`)
)

func tsharkConversations(ctx context.Context, tb testing.TB, path string) map[direction]volume {
	tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, tsharkTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tshark", "-n", "-q", "-z", "conv,tcp", "-z", "conv,udp", "-r", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		// A damaged capture ends tshark with an error after what it could read.
		tb.Logf("tshark %s: %v: %s", filepath.Base(path), err, strings.TrimSpace(stderr.String()))
	}
	m := map[direction]volume{}
	transport := flow.Transport(0)
	for _, line := range strings.Split(string(out), "\n") {
		if table := tsharkTable.FindStringSubmatch(line); table != nil {
			transport = map[string]flow.Transport{"TCP": flow.TCP, "UDP": flow.UDP}[table[1]]
			continue
		}
		row := tsharkRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		a, b := tsharkEnd(tb, row[1]), tsharkEnd(tb, row[2])
		for d, cells := range map[direction][]string{{transport, b, a}: row[3:6], {transport, a, b}: row[6:9]} {
			if v := tsharkVolume(cells); v.packets > 0 {
				m[d] = m[d].add(v)
			}
		}
	}
	return m
}

// tsharkEnd reads address and port; IPv6 addresses stand without brackets.
func tsharkEnd(tb testing.TB, s string) netip.AddrPort {
	tb.Helper()
	i := strings.LastIndexByte(s, ':')
	ap, ok := endpoint(s[:max(i, 0)], s[i+1:])
	if !ok {
		tb.Fatalf("tshark prints the endpoint %q", s)
	}
	return ap
}

func tsharkVolume(cells []string) volume {
	packets, _ := strconv.ParseUint(cells[0], 10, 64)
	n, _ := strconv.ParseUint(cells[1], 10, 64)
	unit := map[string]uint64{"bytes": 1, "kB": 1e3, "MB": 1e6}[cells[2]]
	return volume{packets, n * unit, unit - 1}
}
