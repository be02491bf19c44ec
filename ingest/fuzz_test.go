package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"testing/iotest"
)

// fuzzRead reads hostile bytes whole and in small pieces: the packets and the
// error must be the same, and nothing may be larger than the bytes allow.
func fuzzRead(t *testing.T, file []byte) {
	whole, err := fuzzOnce(t, newCapture(bytes.NewReader(file), "test", 0, make([]byte, windowSize)), len(file))
	pieces, errPieces := fuzzOnce(t, newCapture(iotest.OneByteReader(bytes.NewReader(file)), "test", 0, make([]byte, 64)), len(file))
	if len(whole) != len(pieces) {
		t.Fatalf("%d packets, in pieces %d", len(whole), len(pieces))
	}
	for i := range whole {
		if whole[i] != pieces[i] {
			t.Fatalf("packet %d: %+v, in pieces %+v", i, whole[i], pieces[i])
		}
	}
	if (err == nil) != (errPieces == nil) || err != nil && err.Error() != errPieces.Error() {
		t.Fatalf("error %v, in pieces %v", err, errPieces)
	}
}

// fuzzOnce reads one capture to its end.
func fuzzOnce(t *testing.T, c *capture, size int) ([]seen, error) {
	all, err := readAll(c, 5)
	for _, p := range all {
		if len(p.Data) > maxPacket || len(p.Data) > size && !c.unpacked || p.Length < len(p.Data) {
			t.Fatalf("packet of %d bytes, %d captured, from %d", p.Length, len(p.Data), size)
		}
	}
	if len(c.win.buf) > 2*max(size, windowSize) && !c.unpacked {
		t.Fatalf("buffer of %d bytes for %d", len(c.win.buf), size)
	}
	var damage *DamageError
	if errors.As(err, &damage) && !c.unpacked && (damage.Offset < 0 || damage.Offset > int64(size)) {
		t.Fatalf("damage at %d of %d", damage.Offset, size)
	}
	return all, err
}

// addCaptures seeds with the small real captures of one format.
func addCaptures(f *testing.F, section bool) {
	for _, file := range corpusFiles(f) {
		if len(file) < 4<<10 && (binary.BigEndian.Uint32(file) == 0x0a0d0d0a) == section {
			f.Add(file)
		}
	}
}

func FuzzPcap(f *testing.F) {
	addCaptures(f, false)
	for _, network := range []uint32{1, 0x24000001} {
		for _, order := range bothOrders {
			w := newPcapWriter(order.order, 0xa1b23c4d, 2, 4, 96, network)
			w.packet(1, 2, 5, "hello")
			w.packet(1, 2, 50, "cut")
			f.Add(w.Bytes())
			f.Add(packed(f, w.Bytes()))
		}
	}
	f.Fuzz(fuzzRead)
}

func FuzzPcapng(f *testing.F) {
	addCaptures(f, true)
	w := &ngWriter{}
	for _, order := range bothOrders {
		w.section(order.order)
		w.iface(1, 3, w.option(2, "eth0"), w.tsresol(0xa0), w.tsoffset(-5), w.option(13, "\x20"))
		w.enhanced(0, 1<<40, 50, "hello", w.option(2, string(w.body(uint32(4<<5)))))
		w.simple(5, "abc")
		w.obsolete(0, 1, 3, "abc")
		f.Add(bytes.Clone(w.Bytes()))
	}
	f.Fuzz(fuzzRead)
}

// FuzzGzip starts from packed captures.
func FuzzGzip(f *testing.F) {
	whole := packed(f, pcapOf(1, "first packet", "second packet"))
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Fuzz(fuzzRead)
}
