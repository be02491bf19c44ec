package flow

import (
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The values are those published with the Community ID specification.
func TestCommunityID(t *testing.T) {
	frame4 := func(src, dst string, proto layers.IPProtocol, payload ...byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), ip4(src, dst, proto), gopacket.Payload(payload))
	}
	frame6 := func(src, dst string, proto layers.IPProtocol, payload ...byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeIPv6), ip6(src, dst, proto), gopacket.Payload(payload))
	}
	ports := func(src, dst uint16, n int) []byte {
		b := make([]byte, n)
		b[0], b[1], b[2], b[3] = byte(src>>8), byte(src), byte(dst>>8), byte(dst)
		if n == 20 {
			b[12] = 5 << 4
		}
		if n == 8 {
			b[5] = 8
		}
		return b
	}
	tests := map[string]struct {
		frame []byte
		want  string
	}{
		"tcp":                {frame4("128.232.110.120", "66.35.250.204", 6, ports(34855, 80, 20)...), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		"tcp, back":          {frame4("66.35.250.204", "128.232.110.120", 6, ports(80, 34855, 20)...), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		"udp":                {frame4("192.168.1.52", "8.8.8.8", 17, ports(54585, 53, 8)...), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		"tcp over ipv6":      {frame6("2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 6, ports(63943, 25, 20)...), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		"icmp6 echo":         {frame6("3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:507:0:1:260:97ff:fe07:69ea", 58, 128, 0, 0, 0, 0, 0, 0, 0), "1:GpbEQrKqfWtsfsFiqg8fufoZe5Y="},
		"icmp6 echo, back":   {frame6("3ffe:507:0:1:260:97ff:fe07:69ea", "3ffe:507:0:1:200:86ff:fe05:80da", 58, 129, 0, 0, 0, 0, 0, 0, 0), "1:GpbEQrKqfWtsfsFiqg8fufoZe5Y="},
		"icmp6 unreachable":  {frame6("3ffe:501:410:0:2c0:dfff:fe47:33e", "3ffe:507:0:1:200:86ff:fe05:80da", 58, 1, 4, 0, 0, 0, 0, 0, 0), "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
		"icmp6 to the lower": {frame6("3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:4819::42", 58, 1, 4, 0, 0, 0, 0, 0, 0), "1:jwuBy9UWZK1KUFqJV5cHdVpfrlY="},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			f.packet(second(0), test.frame)
			f.close()
			if got := f.log.events[0].info.CommunityID.String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
