//go:build linux

package integration

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"
)

// writeCapture writes a capture of flows with a query and its answer each, spread
// evenly over a time; pauses is how often in between nothing happens for a while.
func writeCapture(t *testing.T, path string, flows int, span time.Duration, pauses int, pause time.Duration) {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, 2), 4)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, 65535), 1)
	begin := time.Unix(1_790_000_000, 0)
	for i := range flows {
		at := begin.Add(span * time.Duration(i) / time.Duration(flows))
		at = at.Add(time.Duration(i*(pauses+1)/flows) * pause)
		for _, answer := range []bool{false, true} {
			frame := dnsFrame(i, answer)
			b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
			b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
			b = append(b, frame...)
			at = at.Add(10 * time.Microsecond)
		}
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func dnsFrame(flow int, answer bool) []byte {
	client := []byte{10, byte(flow >> 16), byte(flow >> 8), byte(flow)}
	server := []byte{192, 0, 2, 53}
	dns := []byte{byte(flow >> 8), byte(flow), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	if answer {
		dns[2], dns[3], dns[7] = 0x81, 0x80, 1
	}
	label := fmt.Sprintf("host-%d", flow)
	dns = append(append(append(dns, byte(len(label))), label...), "\x07example\x00\x00\x01\x00\x01"...)
	from, to, fromPort, toPort := client, server, uint16(40000), uint16(53)
	if answer {
		dns = append(dns, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x01"...)
		from, to, fromPort, toPort = server, client, 53, 40000
	}
	b := []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00")
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(dns)))
	b = append(append(append(b, 0, 0, 0, 0, 64, 17, 0, 0), from...), to...)
	binary.BigEndian.PutUint16(b[24:], ipChecksum(b[14:34]))
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, fromPort), toPort)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(dns)))
	return append(append(b, 0, 0), dns...)
}

func ipChecksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
