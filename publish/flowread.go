package publish

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"flowscope/flow"
)

// readFlow is the reverse of appendFlow.
func readFlow(f *fields) *flow.Info {
	var (
		info             flow.Info
		srcIP, dstIP     netip.Addr
		srcPort, dstPort uint16
		hasID            bool
	)
	for range f.mapOf("flow") {
		switch f.key {
		case "id":
			info.ID, hasID = readFlowID(f), true
		case "community_id":
			info.CommunityID, info.HasCommunityID = readCommunityID(f), true
		case "transport":
			info.Transport = readTransport(f)
		case "src_ip":
			srcIP = readAddr(f)
		case "src_port":
			srcPort = uint16(f.uintUpTo(math.MaxUint16))
		case "dst_ip":
			dstIP = readAddr(f)
		case "dst_port":
			dstPort = uint16(f.uintUpTo(math.MaxUint16))
		case "vlan":
			info.VLANs = nil
			for range f.array() {
				info.VLANs = append(info.VLANs, uint16(f.uintUpTo(math.MaxUint16)))
			}
		case "tunnels":
			info.Tunnels = nil
			for range f.array() {
				info.Tunnels = append(info.Tunnels, readTunnel(f))
			}
		case "quoted":
			info.Quoted = readQuoted(f)
		case "source":
			info.Source = f.string()
		default:
			f.pass()
		}
	}
	if !hasID {
		f.fail("a flow without id")
	}
	info.Src, info.Dst = netip.AddrPortFrom(srcIP, srcPort), netip.AddrPortFrom(dstIP, dstPort)
	return &info
}

func readFlowID(f *fields) (id flow.ID) {
	text := f.text()
	if len(text) != flowIDLen {
		f.fail("want %d hex digits, have %q", flowIDLen, text)
		return id
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		f.fail("%w", err)
	}
	return id
}

func readCommunityID(f *fields) (id flow.CommunityID) {
	text := f.string()
	digest, isV1 := strings.CutPrefix(text, "1:")
	raw, err := base64.StdEncoding.Strict().DecodeString(digest)
	if !isV1 || err != nil || len(raw) != len(id) {
		f.fail("want a Community ID of version 1, have %q", text)
		return id
	}
	return flow.CommunityID(raw)
}

func readTransport(f *fields) flow.Transport {
	name := f.string()
	for _, t := range []flow.Transport{flow.TCP, flow.UDP, flow.ICMP, flow.ICMPv6, flow.SCTP} {
		if t.String() == name {
			return t
		}
	}
	n, err := strconv.ParseUint(name, 10, 8)
	if err != nil {
		f.fail("want a transport's name or number, have %q", name)
	}
	return flow.Transport(n)
}

func readAddr(f *fields) netip.Addr {
	text := f.string()
	if f.err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		f.fail("%w", err)
	}
	return addr
}

func readTunnel(f *fields) (t flow.Tunnel) {
	for range f.mapOf("tunnels") {
		switch f.key {
		case "type":
			t.Type = f.string()
		case "id":
			t.ID = f.uint()
		case "ids_initiator":
			t.SideIDs[flow.Initiator] = readIDs(f)
		case "ids_responder":
			t.SideIDs[flow.Responder] = readIDs(f)
		default:
			f.pass()
		}
	}
	return t
}

func readIDs(f *fields) (ids []uint32) {
	for range f.array() {
		ids = append(ids, uint32(f.uintUpTo(math.MaxUint32)))
	}
	return ids
}

// readQuoted is the reverse of appendQuoted.
func readQuoted(f *fields) *flow.Quoted {
	var (
		q                flow.Quoted
		srcIP, dstIP     netip.Addr
		srcPort, dstPort uint16
	)
	for range f.mapOf("quoted") {
		switch f.key {
		case "id":
			q.ID, q.HasID = readFlowID(f), true
		case "community_id":
			q.CommunityID, q.HasCommunityID = readCommunityID(f), true
		case "transport":
			q.Transport = readTransport(f)
		case "src_ip":
			srcIP = readAddr(f)
		case "src_port":
			srcPort = uint16(f.uintUpTo(math.MaxUint16))
		case "dst_ip":
			dstIP = readAddr(f)
		case "dst_port":
			dstPort = uint16(f.uintUpTo(math.MaxUint16))
		default:
			f.pass()
		}
	}
	q.Src, q.Dst = netip.AddrPortFrom(srcIP, srcPort), netip.AddrPortFrom(dstIP, dstPort)
	return &q
}
