package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pcapOf returns a pcap file with a packet per string, a second apart.
func pcapOf(start uint32, packets ...string) []byte {
	w := newPcapWriter(binary.LittleEndian, 0xa1b2c3d4, 2, 4, 0, 1)
	for i, data := range packets {
		w.packet(start+uint32(i), 0, uint32(len(data)), data)
	}
	return w.Bytes()
}

// pcapngOf returns a pcapng file with a packet per string, a second apart.
func pcapngOf(start uint64, packets ...string) []byte {
	w := &ngWriter{}
	w.section(binary.LittleEndian)
	w.iface(1, 0)
	for i, data := range packets {
		w.enhanced(0, (start+uint64(i))*1e6, uint32(len(data)), data)
	}
	return w.Bytes()
}

// store writes files into a folder of the test and returns their paths.
func store(t testing.TB, files ...[]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, file := range files {
		path := filepath.Join(dir, string(rune('a'+i))+".pcap")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestOpenFiles(t *testing.T) {
	paths := store(t, pcapOf(10, "a", "b"), packed(t, pcapngOf(20, "c")), pcapOf(30), packed(t, pcapOf(40, "d")), pcapngOf(50, "e"))
	src, err := OpenFiles(paths)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	got, err := readAll(src, 2)
	if err != nil {
		t.Fatal(err)
	}
	from := func(i int) Interface { return Interface{Name: paths[i], LinkType: 1, Input: i} }
	want := []seen{
		{"a", 1, 10e9, from(0)},
		{"b", 1, 11e9, from(0)},
		{"c", 1, 20e9, from(1)},
		{"d", 1, 40e9, from(3)},
		{"e", 1, 50e9, from(4)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n, err := src.ReadBatch(make([]Packet, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

func TestOpenErrors(t *testing.T) {
	good := pcapOf(1, "a")
	tests := []struct {
		name string
		file []byte
		text string
	}{
		{"text", []byte("hello"), ": not a capture file: starts with 68 65 6c 6c, want pcap, pcapng or gzip"},
		{"short text", []byte("hi"), ": not a capture file: starts with 68 69, want pcap, pcapng or gzip"},
		{"empty", nil, ": not a capture file: empty, want pcap, pcapng or gzip"},
		{"text in gzip", packed(t, []byte("hello")), ": not a capture file: inside the gzip it starts with 68 65 6c 6c, want pcap or pcapng"},
		{"nothing in gzip", packed(t, nil), ": not a capture file: nothing inside the gzip, want pcap or pcapng"},
		{"gzip in gzip", packed(t, packed(t, good)), ": not a capture file: inside the gzip it starts with 1f 8b 08 00, want pcap or pcapng"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			paths := store(t, good, good, tt.file)
			_, err := OpenFiles(paths)
			if want := paths[2] + tt.text; err == nil || err.Error() != want {
				t.Errorf("error  %v\nwant   %s", err, want)
			}
			_, err = Open(paths[2])
			if want := paths[2] + tt.text; err == nil || err.Error() != want {
				t.Errorf("error  %v\nwant   %s", err, want)
			}
			_, err = NewReader(bytes.NewReader(tt.file), "name")
			if want := "name" + tt.text; err == nil || err.Error() != want {
				t.Errorf("error  %v\nwant   %s", err, want)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		paths := append(store(t, good), "does-not-exist.pcap")
		if _, err := OpenFiles(paths); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), paths[1]) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Open(dir); err == nil || err.Error() != "open capture file: "+dir+" is a directory" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		if _, err := OpenFiles(nil); err == nil {
			t.Error("no error")
		}
	})
	t.Run("standard input twice", func(t *testing.T) {
		if _, err := OpenFiles([]string{"-", "-"}); err == nil {
			t.Error("no error")
		}
	})
}

// TestDamagedFilesGoOn reads on behind damaged files, and tells all damage at
// the end.
func TestDamagedFilesGoOn(t *testing.T) {
	cut := pcapOf(1, "first", "second")
	cut = cut[:len(cut)-1]
	gone := pcapOf(4, "gone")
	zipped := packed(t, pcapOf(5, "fifth"))
	paths := store(t, cut, pcapOf(3, "third"), gone, pcapOf(4)[:10], zipped[:len(zipped)-4], pcapOf(6, "sixth"))
	src, err := OpenFiles(paths)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := os.Remove(paths[2]); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(src, 100)
	var data []string
	for _, p := range got {
		data = append(data, p.Data)
	}
	if diff := cmp.Diff([]string{"first", "third", "fifth", "sixth"}, data); diff != "" {
		t.Error(diff)
	}
	want := strings.Join([]string{
		paths[0] + ": damaged at byte 61: record says 6 bytes, file has 5 left",
		"open capture file: open " + paths[2] + ": no such file or directory",
		paths[3] + ": damaged at byte 0: file header has 24 bytes, file has 10",
		paths[4] + ": damaged at byte 45 of the unpacked data: cannot unpack: unexpected EOF",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("error  %v\nwant   %s", err, want)
	}
	var damage *DamageError
	if !errors.As(err, &damage) || damage.File != paths[0] || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %#v", err)
	}
	done, total := src.(Progress).Progress()
	if done != total {
		t.Errorf("at the end %d of %d", done, total)
	}
}

// TestGzipDamage turns each byte of a packed capture: what was unpacked before
// is delivered unchanged.
func TestGzipDamage(t *testing.T) {
	plain := pcapOf(1, "first packet", "second packet", "third packet")
	whole, err := readBytes(plain)
	if err != nil {
		t.Fatal(err)
	}
	file := packed(t, plain)
	for cut := range file {
		got, err := readBytes(file[:cut])
		if err == nil {
			t.Errorf("cut at %d: no error", cut)
		}
		if len(got) > len(whole) || len(got) > 0 && !cmp.Equal(got, whole[:len(got)]) {
			t.Errorf("cut at %d: %d packets", cut, len(got))
		}
	}
	t.Run("members", func(t *testing.T) {
		members := append(packed(t, plain[:40]), packed(t, plain[40:])...)
		got, err := readBytes(members)
		if err != nil || !cmp.Equal(got, whole) {
			t.Errorf("%d packets, error %v", len(got), err)
		}
		got, err = readBytes(append(members, "garbage behind it"...))
		if len(got) != len(whole) {
			t.Errorf("%d packets before the garbage", len(got))
		}
		wantDamage(t, err, int64(len(plain)),
			"test: damaged at byte 109 of the unpacked data: cannot unpack: gzip: invalid header")
	})
}

// failing fails after its bytes.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func TestReadError(t *testing.T) {
	broken := errors.New("the disk is on fire")
	file := pcapOf(1, "first", "second")
	tests := []struct {
		name    string
		cut     int
		packets int
		text    string
	}{
		{"between records", len(file), 2, "x: damaged at byte 67: cannot read on: the disk is on fire"},
		{"inside a record", len(file) - 2, 1, "x: damaged at byte 65: cannot read on: the disk is on fire"},
		{"inside the file header", 20, 0, "x: damaged at byte 20: cannot read on: the disk is on fire"},
		{"inside the magic", 2, 0, "x: damaged at byte 2: cannot read on: the disk is on fire"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []seen
			src, err := NewReader(&failing{bytes.NewReader(file[:tt.cut]), broken}, "x")
			if err == nil {
				got, err = readAll(src, 10)
			}
			if len(got) != tt.packets {
				t.Errorf("%d packets, want %d", len(got), tt.packets)
			}
			if !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			if err.Error() != tt.text {
				t.Errorf("error  %s\nwant   %s", err, tt.text)
			}
		})
	}
	t.Run("nothing for ever", func(t *testing.T) {
		if _, err := NewReader(lazy{}, "x"); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("error %v", err)
		}
	})
}

// lazy reads nothing and has no reason.
type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestProgress(t *testing.T) {
	paths := store(t, pcapOf(1, strings.Repeat("x", 100_000), strings.Repeat("y", 200_000)), pcapOf(2, "z"))
	src, err := OpenFiles(paths)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var size int64
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	progress := src.(Progress)
	if done, total := progress.Progress(); done != 0 || total != size {
		t.Errorf("before: %d of %d, want 0 of %d", done, total, size)
	}
	var last int64
	var wg sync.WaitGroup
	wg.Go(func() { progress.Progress() }) // for the race detector
	packets := make([]Packet, 1)
	for {
		_, err := src.ReadBatch(packets)
		done, _ := progress.Progress()
		if done < last || done > size {
			t.Errorf("from %d to %d of %d", last, done, size)
		}
		last = done
		if err != nil {
			break
		}
	}
	wg.Wait()
	if last != size {
		t.Errorf("at the end: %d of %d", last, size)
	}
}

func TestCloseTwice(t *testing.T) {
	file := store(t, pcapOf(1, "a", "b"))[0]
	open := map[string]func() (Source, error){
		"file":   func() (Source, error) { return Open(file) },
		"reader": func() (Source, error) { return NewReader(bytes.NewReader(pcapOf(1, "a")), "x") },
	}
	for name, open := range open {
		t.Run(name, func(t *testing.T) {
			src, err := open()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := src.ReadBatch(make([]Packet, 1)); n != 1 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			for range 2 {
				if err := src.Close(); err != nil {
					t.Error(err)
				}
			}
			if n, err := src.ReadBatch(make([]Packet, 1)); n != 0 || err != io.EOF {
				t.Errorf("after Close: %d, %v", n, err)
			}
		})
	}
}

// TestPipe reads from a pipe that stalls: inside the magic, the file header, a
// record header and a record. Nothing waits for what has not been written.
func TestPipe(t *testing.T) {
	file := pcapOf(1, "first", "second", "third")
	stalls := []int{0, 2, 10, 24, 30, 40, 43, 45, len(file) - 1, len(file)}
	for _, zip := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stdin := os.Stdin
		os.Stdin = r
		src, err := Open("-")
		if err != nil {
			t.Fatal(err)
		}
		if zip { // gzip has no patience: all of it is there
			if _, err := w.Write(packed(t, file)); err != nil {
				t.Fatal(err)
			}
			w.Close()
			got, err := readAll(src, 10)
			if err != nil || len(got) != 3 {
				t.Errorf("gzip: %d packets, %v", len(got), err)
			}
		} else {
			readStalling(t, src, w, file, stalls)
		}
		os.Stdin = stdin
		src.Close()
		r.Close()
	}
}

// readStalling writes file piece by piece, and reads until nothing comes.
func readStalling(t *testing.T, src Source, w *os.File, file []byte, stalls []int) {
	t.Helper()
	ends := []int{24 + 16 + 5, 24 + 16 + 5 + 16 + 6, len(file)}
	packets := make([]Packet, 10)
	total, written := 0, 0
	for _, stall := range stalls {
		if _, err := w.Write(file[written:stall]); err != nil {
			t.Fatal(err)
		}
		written = stall
		for {
			n, err := src.ReadBatch(packets)
			if err != nil {
				t.Fatalf("after %d bytes: %v", stall, err)
			}
			total += n
			if n == 0 {
				break
			}
			if packets[0].Interface.Name != "stdin" || !src.(Live).Live() {
				t.Errorf("from %+v", packets[0].Interface)
			}
		}
		want := 0
		for want < len(ends) && ends[want] <= stall {
			want++
		}
		if total != want {
			t.Errorf("after %d bytes: %d packets, want %d", stall, total, want)
		}
	}
	w.Close()
	if n, err := src.ReadBatch(packets); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if done, total := src.(Progress).Progress(); done != int64(len(file)) || total != 0 {
		t.Errorf("progress %d of %d", done, total)
	}
}
