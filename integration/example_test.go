package integration

import (
	"context"
	"fmt"
	"log"

	"flowscope/ingest"
	"flowscope/parsers/dns"
	"flowscope/session"
)

// The DNS queries of a capture file.
func Example_messages() {
	src, err := ingest.Open("testdata/dns.pcap")
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	n := 0
	for e, err := range session.Messages[*dns.Query](context.Background(), src, dns.New()) {
		if err != nil {
			log.Fatal(err)
		}
		q := e.Message.(*dns.Query).Questions[0]
		fmt.Println(e.Flow.Src.Addr(), q.Name, q.Type)
		if n++; n == 3 {
			break
		}
	}
	// Output:
	// 192.0.2.10 example.test A
	// 192.0.2.10 example.test AAAA
	// 192.0.2.10 example.test MX
}
