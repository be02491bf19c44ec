package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// corpus returns the folder of real captures.
func corpus(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("FLOWSCOPE_CORPUS")
	if dir == "" {
		dir = "../../shared/captures"
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("FLOWSCOPE_REQUIRE_CORPUS") == "1" {
			t.Fatalf("the captures are required: %v", err)
		}
		t.Skipf("no captures: %v (FLOWSCOPE_CORPUS names their folder)", err)
	}
	return dir
}

// corpusFiles returns all captures by their path below the folder.
func corpusFiles(t testing.TB) map[string][]byte {
	t.Helper()
	dir := corpus(t)
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasSuffix(path, ".expect") {
			return fs.SkipDir
		}
		switch filepath.Ext(path) {
		case ".pcap", ".pcapng", ".mcap":
			name, _ := filepath.Rel(dir, path)
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no captures below %s", dir)
	}
	return files
}

// readOracle reads a capture by another implementation.
func readOracle(file []byte) ([]seen, error) {
	type reader interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	}
	var (
		r       reader
		all     []seen
		link    func(gopacket.CaptureInfo) LinkType
		snaplen func(gopacket.CaptureInfo) int
		device  = func(gopacket.CaptureInfo) string { return "" }
	)
	if binary.BigEndian.Uint32(file) == 0x0a0d0d0a {
		ng, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, err
		}
		of := func(info gopacket.CaptureInfo) pcapgo.NgInterface {
			i, _ := ng.Interface(info.InterfaceIndex)
			return i
		}
		r = ng
		link = func(info gopacket.CaptureInfo) LinkType { return LinkType(info.AncillaryData[0].(layers.LinkType)) }
		snaplen = func(info gopacket.CaptureInfo) int { return int(of(info).SnapLength) }
		device = func(info gopacket.CaptureInfo) string { return of(info).Name }
	} else {
		p, err := pcapgo.NewReader(bytes.NewReader(file))
		if err != nil {
			return nil, err
		}
		r = p
		link = func(gopacket.CaptureInfo) LinkType { return LinkType(p.LinkType()) }
		snaplen = func(gopacket.CaptureInfo) int { return int(p.Snaplen()) }
	}
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		var at Timestamp
		if !info.Timestamp.IsZero() {
			at = TimestampOf(info.Timestamp)
		}
		all = append(all, seen{
			string(data), info.Length, at,
			Interface{Name: "test", Device: device(info), LinkType: link(info), Snaplen: snaplen(info)},
		})
	}
}

// TestCorpusAgainstOracle reads every capture as another implementation does.
func TestCorpusAgainstOracle(t *testing.T) {
	damaged := map[string]int64{
		"conformance/suricata-verify/bug-1450-04.pcap": 5051,
	}
	// What the oracle refuses and we read: it is shown what we take it for.
	// There are no other differences.
	corrected := map[string]func(file []byte){
		// Version 1.4 in the file header, the layout is that of 2.4.
		"conformance/libpcap/pcap-invalid-version-1.pcap": func(file []byte) { file[4] = 2 },
		// 84 bytes captured of a packet of 68: it had at least 84.
		"conformance/brimcap/bad-caplen.pcap": func(file []byte) { file[24+12] = 84 },
	}
	for name, file := range corpusFiles(t) {
		t.Run(name, func(t *testing.T) {
			shown := bytes.Clone(file)
			if correct := corrected[name]; correct != nil {
				correct(shown)
			}
			want, wantErr := readOracle(shown)
			variants := map[string][]byte{"plain": file}
			if len(file) < 500<<10 {
				variants["gzip"] = packed(t, file)
			}
			for variant, file := range variants {
				got, err := readBytes(file)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", variant, diff)
				}
				if (err == nil) != (wantErr == nil) {
					t.Errorf("%s: error %v, the oracle's %v", variant, err, wantErr)
				}
				var damage *DamageError
				if errors.As(err, &damage) {
					if offset, known := damaged[name]; !known || damage.Offset != offset {
						t.Errorf("%s: unexpected: %v", variant, err)
					}
				}
			}
		})
	}
}

// TestCorpusIndex compares with what the index of the captures counts.
func TestCorpusIndex(t *testing.T) {
	dir := corpus(t)
	index, err := os.ReadFile(filepath.Join(dir, "conformance", "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(index)), "\n")
	column := make(map[string]int)
	for i, name := range strings.Split(lines[0], "\t") {
		column[name] = i
	}
	for _, line := range lines[1:] {
		fields := strings.Split(line, "\t")
		name := fields[column["file"]]
		t.Run(name, func(t *testing.T) {
			src, err := Open(filepath.Join(dir, "conformance", name))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			all, err := readAll(src, 64)
			truncated := strings.Contains(line, "FILE:truncated")
			if (err != nil) != truncated {
				t.Errorf("error %v", err)
			}
			var first, last Timestamp
			for i, p := range all {
				if p.Time == 0 {
					continue
				}
				if i == 0 || p.Time < first {
					first = p.Time
				}
				last = max(last, p.Time)
			}
			if got := strconv.Itoa(len(all)); got != fields[column["packets"]] {
				t.Errorf("%s packets, the index has %s", got, fields[column["packets"]])
			}
			done, total := src.(Progress).Progress()
			if size := strconv.FormatInt(total, 10); size != fields[column["bytes"]] || done != total {
				t.Errorf("%d of %d bytes read, the index has %s", done, total, fields[column["bytes"]])
			}
			if truncated {
				return // its times run backwards by years, the index measures no duration
			}
			want, err := strconv.ParseFloat(fields[column["duration_s"]], 64)
			if err != nil {
				t.Fatal(err)
			}
			if got := last.Sub(first).Seconds(); got < want-0.001 || got > want+0.001 {
				t.Errorf("lasts %.3f s, the index has %.3f s", got, want)
			}
		})
	}
}

// boundaries walks a capture by its lengths alone: where records begin, and how
// many bytes a record has before its data.
func boundaries(file []byte) (starts []int, header int) {
	if binary.BigEndian.Uint32(file) == 0x0a0d0d0a {
		var order binary.ByteOrder = binary.LittleEndian
		for at := 0; at < len(file); {
			starts = append(starts, at)
			if binary.BigEndian.Uint32(file[at:]) == 0x0a0d0d0a {
				order = binary.LittleEndian
				if file[at+8] == 0x1a {
					order = binary.BigEndian
				}
			}
			at += int(order.Uint32(file[at+4:]))
		}
		return starts, 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if file[0] == 0xa1 {
		order = binary.BigEndian
	}
	for at := 24; at < len(file); {
		starts = append(starts, at)
		at += 16 + int(order.Uint32(file[at+8:]))
	}
	return starts, 16
}

// TestCorpusTruncated cuts every capture at many places: the packets before the
// cut are the same, and the error says where.
func TestCorpusTruncated(t *testing.T) {
	const cuts = 150
	for name, file := range corpusFiles(t) {
		if len(file) > 100<<10 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			whole, _ := readBytes(file)
			starts, header := boundaries(file)
			random := rand.New(rand.NewPCG(uint64(len(file)), 7))
			for i := range cuts {
				cut := random.IntN(len(file))
				if i < len(starts) && i < cuts/3 {
					cut = starts[i]
				}
				if len(file) < cuts {
					cut = i % len(file)
				}
				checkCut(t, file, cut, whole, starts, header)
			}
		})
	}
}

// checkCut reads the first cut bytes of a file.
func checkCut(t *testing.T, file []byte, cut int, whole []seen, starts []int, header int) {
	t.Helper()
	got, err := readBytes(file[:cut])
	if len(got) > len(whole) || !slices.Equal(got, whole[:len(got)]) {
		t.Fatalf("cut at %d: packets before the cut differ", cut)
	}
	if cut < 4 {
		if err == nil || !strings.Contains(err.Error(), "not a capture file") {
			t.Errorf("cut at %d: error %v", cut, err)
		}
		return
	}
	if header > 0 && cut <= 24 {
		if cut < 24 {
			wantDamage(t, err, 0, "test: damaged at byte 0: file header has 24 bytes, file has "+strconv.Itoa(cut))
		} else if err != nil {
			t.Errorf("cut behind the header: %v", err)
		}
		return
	}
	if header > 0 {
		// starts[i+1] is where record i ends.
		complete := 0
		for complete+1 < len(starts) && starts[complete+1] <= cut {
			complete++
		}
		if len(got) != complete {
			t.Errorf("cut at %d: %d packets, want %d", cut, len(got), complete)
		}
	}
	last := 0
	for _, start := range starts {
		if start == cut {
			if err != nil {
				t.Errorf("cut at %d, between two records: %v", cut, err)
			}
			return
		}
		if start < cut {
			last = start
		}
	}
	want := last
	if cut-last >= header {
		want += header
	}
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Offset != int64(want) {
		t.Errorf("cut at %d: error %v, want damage at %d", cut, err, want)
	}
}

// TestCorpusFlipped turns bits of every capture: whatever it becomes, reading
// ends and packets stay within their limits.
func TestCorpusFlipped(t *testing.T) {
	start := time.Now()
	for name, file := range corpusFiles(t) {
		if len(file) > 20<<10 {
			continue
		}
		random := rand.New(rand.NewPCG(uint64(len(file)), 8))
		for range 40 {
			flipped := bytes.Clone(file)
			for range 1 + random.IntN(4) {
				flipped[random.IntN(len(flipped))] ^= 1 << random.IntN(8)
			}
			got, _ := readBytes(flipped)
			for _, p := range got {
				if len(p.Data) > maxPacket || p.Length < len(p.Data) {
					t.Fatalf("%s: packet of %d bytes, %d captured", name, p.Length, len(p.Data))
				}
			}
		}
	}
	t.Logf("took %v", time.Since(start))
}
