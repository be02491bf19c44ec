package sessiontest

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flowscope/flow"
	"flowscope/ingest"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	forked "github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// Corpus returns the folder of the captures to test against: FLOWSCOPE_CORPUS,
// or else fallback. Where it is absent the test is skipped, or fails if
// FLOWSCOPE_REQUIRE_CORPUS is 1.
func Corpus(tb testing.TB, fallback string) string {
	tb.Helper()
	folder := os.Getenv("FLOWSCOPE_CORPUS")
	if folder == "" {
		folder = fallback
	}
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("FLOWSCOPE_REQUIRE_CORPUS") == "1" {
			tb.Fatalf("captures: %v", err)
		}
		tb.Skipf("captures: %v; set FLOWSCOPE_CORPUS to their folder", err)
	}
	return folder
}

// Captures returns the capture files below a folder in lexical order.
func Captures(tb testing.TB, folder string) []string {
	tb.Helper()
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err == nil && !d.IsDir() && (strings.HasPrefix(ext, ".pcap") || ext == ".cap") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// UDPDatagram is one UDP datagram of a capture; it owns its payload.
type UDPDatagram struct {
	Datagram
	SrcPort, DstPort uint16
	// Flow is the same for both directions of a conversation.
	Flow string
}

// UDP returns the UDP datagrams of a capture file, innermost layer, in order;
// the initiator is the sender of a flow's first datagram. Fragments, and frames
// that gopacket cannot decode, are left out. A file that is damaged gives what
// precedes the damage.
func UDP(tb testing.TB, file string) []UDPDatagram {
	tb.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	src, link, err := openCapture(raw)
	if err != nil {
		return nil
	}
	first := map[string]string{} // flow → its initiator
	var list []UDPDatagram
	for {
		frame, ci, err := src.ReadPacketData()
		if err != nil {
			return list
		}
		d, from, to, ok := decodeUDP(frame, link)
		if !ok {
			continue
		}
		d.Time, d.Truncated = ingest.TimestampOf(ci.Timestamp), d.Truncated || ci.CaptureLength < ci.Length
		d.Flow = min(from, to) + " " + max(from, to)
		if _, seen := first[d.Flow]; !seen {
			first[d.Flow] = from
		}
		if first[d.Flow] != from {
			d.Side = flow.Responder
		}
		list = append(list, d)
	}
}

// Conversations returns the UDP conversations of capture files with one of these
// ports, each named after its file and addresses.
func Conversations(tb testing.TB, files []string, ports ...uint16) []Conversation {
	tb.Helper()
	var list []Conversation
	for _, file := range files {
		places := map[string]int{}
		for _, d := range UDP(tb, file) {
			if !slices.Contains(ports, d.SrcPort) && !slices.Contains(ports, d.DstPort) {
				continue
			}
			if _, seen := places[d.Flow]; !seen {
				places[d.Flow] = len(list)
				list = append(list, Conversation{Name: filepath.Base(file) + " " + d.Flow})
			}
			c := &list[places[d.Flow]]
			c.Datagrams = append(c.Datagrams, d.Datagram)
		}
	}
	return list
}

type packetReader interface {
	ReadPacketData() ([]byte, forked.CaptureInfo, error)
}

func openCapture(raw []byte) (packetReader, layers.LinkType, error) {
	if bytes.HasPrefix(raw, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err := pcapgo.NewNgReader(bufio.NewReader(bytes.NewReader(raw)), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return nil, 0, err
		}
		return r, layers.LinkType(r.LinkType()), nil
	}
	r, err := pcapgo.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, 0, err
	}
	return r, layers.LinkType(r.LinkType()), nil
}

func decodeUDP(frame []byte, link layers.LinkType) (d UDPDatagram, from, to string, ok bool) {
	p := gopacket.NewPacket(frame, link, gopacket.DecodeOptions{NoCopy: true})
	var net gopacket.Flow
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			net = l.NetworkFlow()
		case *layers.IPv6:
			net = l.NetworkFlow()
		case *layers.UDP:
			ok = true
			d.SrcPort, d.DstPort = uint16(l.SrcPort), uint16(l.DstPort)
			d.Payload = slices.Clone(l.Payload)
			d.Truncated = l.Length != 0 && int(l.Length) > 8+len(l.Payload)
			from = net.Src().String() + "/" + l.SrcPort.String()
			to = net.Dst().String() + "/" + l.DstPort.String()
		}
	}
	return d, from, to, ok
}
