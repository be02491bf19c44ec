package filter

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// frame is a packet of the captures.
type frame struct {
	link   uint32
	data   []byte
	length int
	file   string
}

// frames reads the captures recorded by other projects, once.
var frames = sync.OnceValues(func() ([]frame, error) {
	root := os.Getenv("FLOWSCOPE_CORPUS")
	if root == "" {
		root = "../../../shared/captures"
	}
	var all []frame
	err := filepath.WalkDir(filepath.Join(root, "conformance"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Base(path), "pcap") {
			return err
		}
		all = append(all, readFrames(path)...)
		return nil
	})
	return all, err
})

// corpus returns the packets, or skips the test if there are none.
func corpus(t testing.TB) []frame {
	t.Helper()
	all, err := frames()
	if err != nil || len(all) == 0 {
		if os.Getenv("FLOWSCOPE_REQUIRE_CORPUS") != "" {
			t.Fatalf("no captures: %v", err)
		}
		t.Skipf("no captures (FLOWSCOPE_CORPUS): %v", err)
	}
	return all
}

// readFrames reads what can be read of a capture by somebody else's reader.
func readFrames(path string) (all []frame) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var src interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	}
	var link func(gopacket.CaptureInfo) uint32
	if r, err := pcapgo.NewReader(f); err == nil {
		src = r
		link = func(gopacket.CaptureInfo) uint32 { return uint32(r.LinkType()) }
	} else {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil
		}
		r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil
		}
		src = r
		link = func(info gopacket.CaptureInfo) uint32 {
			i, err := r.Interface(info.InterfaceIndex)
			if err != nil {
				return 1 << 31
			}
			return uint32(i.LinkType)
		}
	}
	for len(all) < 2000 {
		data, info, err := src.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return all
			}
			return all
		}
		all = append(all, frame{link: link(info), data: data, length: max(info.Length, len(data)), file: filepath.Base(path)})
	}
	return all
}

// tags returns how many VLAN tags an Ethernet frame has, and the frame without
// the first two of them.
func (f frame) untagged() (int, frame) {
	n := 0
	for n < 2 && len(f.data) >= 18 && isTag(binary.BigEndian.Uint16(f.data[12:])) {
		f.data = append(append([]byte{}, f.data[:12]...), f.data[16:]...)
		f.length -= 4
		n++
	}
	return n, f
}

func isTag(t uint16) bool { return t == 0x8100 || t == 0x88a8 || t == 0x9100 }

// as puts the network packet of an Ethernet frame behind another link header.
func (f frame) as(link uint32) (frame, bool) {
	_, f = f.untagged()
	if f.link != linkEthernet || len(f.data) < 14 || isTag(binary.BigEndian.Uint16(f.data[12:])) {
		return f, false
	}
	proto, mac := f.data[12:14], f.data[6:12]
	var head []byte
	ip := proto[0] == 0x08 && proto[1] == 0 || proto[0] == 0x86 && proto[1] == 0xdd
	switch link {
	case linkSLL:
		head = append([]byte{0, 0, 0, 1, 0, 6}, append(append([]byte{}, mac...), 0, 0, proto[0], proto[1])...)
	case linkSLL2:
		head = append([]byte{proto[0], proto[1], 0, 0, 0, 0, 0, 1, 0, 1, 0, 6}, append(append([]byte{}, mac...), 0, 0)...)
	case linkNull, linkLoop:
		if !ip {
			return f, false
		}
		family := byte(2)
		if proto[0] == 0x86 {
			family = 10
		}
		head = []byte{family, 0, 0, 0}
		if link == linkLoop {
			head = []byte{0, 0, 0, family}
		}
	case linkRaw:
		if !ip {
			return f, false
		}
	case linkPPP, linkPPPHDLC:
		if !ip {
			return f, false
		}
		head = []byte{0xff, 0x03, 0, 0x21}
		if proto[0] == 0x86 {
			head[3] = 0x57
		}
	case link80211:
		head = append(dataFrame(0x08, 0), 0xaa, 0xaa, 3, 0, 0, 0, proto[0], proto[1])
		if proto[0] == 0x08 { // half of them with a QoS field
			head = append(append(dataFrame(0x88, 0), 0, 0), head[24:]...)
		}
	case linkRadiotap:
		head = append(append([]byte{0, 0, 10, 0, 0, 0, 0, 0, 0, 0}, dataFrame(0x08, 0)...), 0xaa, 0xaa, 3, 0, 0, 0, proto[0], proto[1])
	}
	f.length += len(head) - 14
	f.data = append(head, f.data[14:]...)
	f.link = link
	return f, true
}

// dataFrame is the header of an 802.11 data frame with three addresses.
func dataFrame(control, flags byte) []byte {
	return append([]byte{control, flags}, make([]byte, 22)...)
}
