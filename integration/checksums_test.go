package integration

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/flow"
)

// checksumReasons are the captures in which tshark finds others.
var checksumReasons = map[string]string{
	"arkime/nflog.pcap": "link type 239 (NFLOG) is not supported",
	"zeek/tunnels__gtp__gtp1_gn_normal_incl_fragmentation.pcap": "those of UDP around GTP-U, which is peeled off and not looked at",
}

// TestChecksums compares the packets of each capture whose checksums
// do not fit with those that tshark finds. It does not tell checksums that are
// wrong from those left to a network card.
func TestChecksums(t *testing.T) {
	withoutRace(t)
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("tshark is missing: %v", err)
	}
	bad := uint64(0)
	for _, name := range conformanceCaptures(t) {
		want := tsharkChecksums(t.Context(), t, capturePath(t, name))
		counters := record(t, capturePath(t, name), 1).table
		got := map[string]uint64{}
		for kind, n := range counters.ChecksumsByKind() {
			bad += n
			got[kind] = n
		}
		// What is offloaded stands under its own kind there.
		diff := cmp.Diff(sum(want), sum(got))
		reason, listed := checksumReasons[name]
		switch {
		case diff != "" && !listed:
			t.Errorf("%s: tshark finds %v, we %v", name, want, got)
		case diff == "" && listed:
			t.Errorf("%s: agrees, but a reason for differences is listed: %s", name, reason)
		}
	}
	t.Logf("%d checksums that do not fit", bad)
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// tsharkTime is how long tshark may take over one capture; on a machine with much
// else to do it takes seconds to start.
const tsharkTime = 2 * time.Minute

// tsharkChecksums counts the checksums with status 0, bad.
func tsharkChecksums(ctx context.Context, tb testing.TB, path string) map[string]uint64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, tsharkTime)
	defer cancel()
	fields := map[string]string{"ip": "ip", "tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": flow.ICMPv6.String()}
	layers := slices.Sorted(maps.Keys(fields))
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "separator=/t"}
	for _, l := range layers {
		if !strings.HasPrefix(l, "icmp") {
			args = append(args, "-o", l+".check_checksum:TRUE")
		}
		args = append(args, "-e", l+".checksum.status")
	}
	cmd := exec.CommandContext(ctx, "tshark", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Logf("tshark %s: %v: %s", filepath.Base(path), err, strings.TrimSpace(stderr.String()))
	}
	m := map[string]uint64{}
	for _, line := range strings.Split(string(out), "\n") {
		for i, cell := range strings.Split(line, "\t") {
			if n := strings.Count(","+cell+",", ",0,"); n > 0 && i < len(layers) {
				m[fields[layers[i]]] += uint64(n)
			}
		}
	}
	return m
}
