// Command measure compares what flowscope costs per packet with a yardstick: a
// loop of gopacket's DecodingLayerParser over pcapgo that does nothing else.
//
//	go run ./integration/measure [-n 5] FILE.pcap…
//
// For each capture the two, and flowscope once more with messages only, run in
// turn, each as a process of its own and with one worker. What counts is CPU
// time, user and system of the whole process; the table holds medians in
// nanoseconds per packet and their ratio to the yardstick of the same sitting.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func main() {
	runs := flag.Int("n", 5, "how often each is run")
	yardstick := flag.Bool("yardstick", false, "be the yardstick: decode FILE and print the number of packets")
	flag.Parse()
	err := errors.New("name at least one capture file")
	switch {
	case *yardstick && flag.NArg() == 1:
		err = decode(flag.Arg(0))
	case flag.NArg() > 0:
		err = compare(*runs, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// decode is the yardstick.
func decode(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var (
		eth   layers.Ethernet
		vlan  layers.Dot1Q
		ip4   layers.IPv4
		ip6   layers.IPv6
		tcp   layers.TCP
		udp   layers.UDP
		bytes gopacket.Payload
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &vlan, &ip4, &ip6, &tcp, &udp, &bytes)
	parser.IgnoreUnsupported = true
	var decoded []gopacket.LayerType
	packets := 0
	for ; ; packets++ {
		data, _, err := r.ZeroCopyReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: packet %d: %w", path, packets+1, err)
		}
		if err := parser.DecodeLayers(data, &decoded); err != nil {
			decoded = decoded[:0]
		}
	}
	fmt.Println(packets)
	return nil
}

// subject is one of the programs that are compared.
type subject struct {
	name string
	args []string
}

func compare(runs int, files []string) error {
	dir, err := os.MkdirTemp("", "measure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	flowscope := filepath.Join(dir, "flowscope")
	if out, err := exec.Command("go", "build", "-o", flowscope, "flowscope/cmd/flowscope").CombinedOutput(); err != nil {
		return fmt.Errorf("build flowscope: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	replay := []string{flowscope, "replay", "--workers", "1", "--to", "discard"}
	fmt.Println("| capture | packets | yardstick ns | messages only ns | ratio | all events ns | ratio |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|")
	for _, file := range files {
		subjects := []subject{
			{"yardstick", []string{self, "-yardstick", file}},
			{"messages", append(slices.Clone(replay), "--events", "messages", file)},
			{"all", append(slices.Clone(replay), "--events", "all", file)},
		}
		if err := compareOn(file, runs, subjects); err != nil {
			return err
		}
	}
	return nil
}

func compareOn(file string, runs int, subjects []subject) error {
	packets := 0
	times := make([][]time.Duration, len(subjects))
	for range runs {
		for i, s := range subjects {
			spent, out, err := run(s.args)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", s.name, file, err)
			}
			if i == 0 {
				if packets, err = strconv.Atoi(strings.TrimSpace(out)); err != nil || packets == 0 {
					return fmt.Errorf("%s: no packets", file)
				}
			}
			times[i] = append(times[i], spent)
		}
	}
	perPacket := make([]float64, len(subjects))
	for i := range times {
		slices.Sort(times[i])
		perPacket[i] = float64(times[i][len(times[i])/2].Nanoseconds()) / float64(packets)
	}
	fmt.Printf("| %s | %d | %.0f | %.0f | %.2f | %.0f | %.2f |\n", filepath.Base(file), packets, perPacket[0],
		perPacket[1], perPacket[1]/perPacket[0], perPacket[2], perPacket[2]/perPacket[0])
	return nil
}

// run returns a process's CPU time and what it printed.
func run(args []string) (time.Duration, string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, "", fmt.Errorf("%w: %s", err, stderr.String())
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), string(out), nil
}
