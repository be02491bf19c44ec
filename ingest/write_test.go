package ingest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// seen is a packet as the tests compare it, with bytes of its own.
type seen struct {
	Data      string
	Length    int
	Time      Timestamp
	Interface Interface
}

// readAll drains a source in batches of the given size.
func readAll(src Source, batch int) ([]seen, error) {
	packets := make([]Packet, batch)
	var all []seen
	for {
		n, err := src.ReadBatch(packets)
		for _, p := range packets[:n] {
			all = append(all, seen{string(p.Data), p.Length, p.Time, *p.Interface})
		}
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// readBytes reads a capture file from memory.
func readBytes(file []byte) ([]seen, error) {
	src, err := NewReader(bytes.NewReader(file), "test")
	if err != nil {
		return nil, err
	}
	return readAll(src, 7)
}

// pcapWriter writes pcap files in every variant.
type pcapWriter struct {
	bytes.Buffer
	order binary.AppendByteOrder
}

func newPcapWriter(order binary.AppendByteOrder, magic uint32, major, minor uint16, snaplen, network uint32) *pcapWriter {
	w := &pcapWriter{order: order}
	w.u32(magic)
	w.Write(order.AppendUint16(nil, major))
	w.Write(order.AppendUint16(nil, minor))
	w.u32(0, 0, snaplen, network)
	return w
}

func (w *pcapWriter) u32(values ...uint32) {
	for _, v := range values {
		w.Write(w.order.AppendUint32(nil, v))
	}
}

func (w *pcapWriter) packet(sec, frac, length uint32, data string) {
	w.u32(sec, frac, uint32(len(data)), length)
	w.WriteString(data)
}

// ngWriter writes pcapng files in every variant.
type ngWriter struct {
	bytes.Buffer
	order binary.AppendByteOrder
}

func (w *ngWriter) block(kind uint32, body []byte) {
	size := uint32(12 + len(body))
	w.Write(w.order.AppendUint32(nil, kind))
	w.Write(w.order.AppendUint32(nil, size))
	w.Write(body)
	w.Write(w.order.AppendUint32(nil, size))
}

func (w *ngWriter) section(order binary.AppendByteOrder) {
	w.order = order
	w.block(0x0a0d0d0a, w.body(uint32(0x1a2b3c4d), uint16(1), uint16(0), uint64(1<<64-1)))
}

// body puts integers together in the section's byte order, and strings padded
// to four bytes.
func (w *ngWriter) body(parts ...any) []byte {
	var b []byte
	for _, part := range parts {
		switch v := part.(type) {
		case uint16:
			b = w.order.AppendUint16(b, v)
		case uint32:
			b = w.order.AppendUint32(b, v)
		case uint64:
			b = w.order.AppendUint64(b, v)
		case string:
			b = append(b, v...)
			b = append(b, make([]byte, -len(v)&3)...)
		case []byte:
			b = append(b, v...)
		default:
			panic("body: unknown type")
		}
	}
	return b
}

func (w *ngWriter) option(code uint16, value string) []byte {
	return w.body(code, uint16(len(value)), value)
}

func (w *ngWriter) iface(linkType uint16, snaplen uint32, options ...[]byte) {
	b := w.body(linkType, uint16(0), snaplen)
	for _, o := range options {
		b = append(b, o...)
	}
	w.block(1, b)
}

func (w *ngWriter) enhanced(id uint32, units uint64, length uint32, data string, options ...[]byte) {
	b := w.body(id, uint32(units>>32), uint32(units), uint32(len(data)), length, data)
	for _, o := range options {
		b = append(b, o...)
	}
	w.block(6, b)
}

func (w *ngWriter) simple(length uint32, data string) {
	w.block(3, w.body(length, data))
}

func (w *ngWriter) obsolete(id uint16, units uint64, length uint32, data string) {
	w.block(2, w.body(id, uint16(0), uint32(units>>32), uint32(units), uint32(len(data)), length, data))
}

// packed returns b as one gzip member.
func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// wantDamage checks that err is damage at a place.
func wantDamage(t *testing.T, err error, offset int64, text string) {
	t.Helper()
	var damage *DamageError
	if !errors.As(err, &damage) {
		t.Fatalf("error %v, want damage", err)
	}
	if damage.Offset != offset {
		t.Errorf("damage at %d, want %d", damage.Offset, offset)
	}
	if err.Error() != text {
		t.Errorf("error  %s\nwant   %s", err, text)
	}
}
