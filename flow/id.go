package flow

import (
	"crypto/sha256"
	"encoding/binary"

	"flowscope/ingest"
)

// maxSensorInID bounds what of the sensor's name goes into an ID.
const maxSensorInID = 255

// newID returns the id of a flow: the first 16 bytes of the SHA-256 over, in
// this order and big-endian:
//
//   - the sensor's name, behind its length in one byte (at most 255 bytes of it);
//   - 4 or 6, the IP version, and the protocol number, one byte each;
//   - address and port of the normalised key's lower, then of its upper endpoint
//     (4 or 16 and 2 bytes), and the ICMP echo identifier, 2 bytes;
//   - the number of VLANs in the key, one byte, and each VLAN in 2 bytes;
//   - the number of tunnels, one byte, and each one's kind (1 byte) and id (8);
//   - the time of the flow's first packet in nanoseconds since 1970, 8 bytes;
//   - n, how many earlier flows had the same key and the same first time, 4 bytes.
//
// So equal packets give equal ids wherever they are read, two sensors never give
// the same, and nobody can craft packets of one flow to get another's.
func newID(sensor string, k *Key, p *path, first ingest.Timestamp, n uint32) ID {
	var buf [1 + maxSensorInID + 2 + 2*18 + 2 + 1 + 2*maxVLANs + 1 + 9*maxTunnels + 12]byte
	if len(sensor) > maxSensorInID {
		sensor = sensor[:maxSensorInID]
	}
	b := append(buf[:0], byte(len(sensor)))
	b = append(b, sensor...)
	version, size := byte(4), 4
	if k.IP6 != 0 {
		version, size = 6, 16
	}
	b = append(b, version, byte(k.Proto))
	b = append(b, k.A[:size]...)
	b = binary.BigEndian.AppendUint16(b, k.PortA)
	b = append(b, k.B[:size]...)
	b = binary.BigEndian.AppendUint16(b, k.PortB)
	b = binary.BigEndian.AppendUint16(b, k.Sub)
	b = append(b, p.keyed)
	for _, v := range p.vlan[:p.keyed] {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = append(b, p.tunnels)
	for i := range p.tunnels {
		b = append(b, byte(p.tunnel[i].kind))
		b = binary.BigEndian.AppendUint64(b, p.tunnel[i].id)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint32(b, n)
	sum := sha256.Sum256(b)
	return ID(sum[:16])
}
