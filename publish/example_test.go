package publish_test

import (
	"fmt"
	"net/netip"

	"flowscope/flow"
	"flowscope/publish"
	"flowscope/session"
)

// A consumer reads what came in one NATS message, be it one event or a batch.
func ExampleDecodeAll() {
	payload, _, _ := publish.NewEncoder("edge-1", "r1", nil).Append(nil, &session.SessionEvent{
		Type: session.AnomalyEvent, Protocol: "dns", Kind: "anomaly", Time: 1_000_000_000, Seq: 4,
		Flow: &flow.Info{
			ID: flow.ID{1}, Transport: flow.UDP,
			Src: netip.MustParseAddrPort("192.0.2.1:5353"), Dst: netip.MustParseAddrPort("192.0.2.53:53"),
		},
		Reason: "name_loop", Severity: session.Warning, Count: 1,
	})
	for ev, err := range publish.DecodeAll(payload, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(ev.ID(), ev.Flow.Src, ev.Reason)
	}
	line, _ := publish.AppendText(nil, payload)
	fmt.Printf("%s\n", line)
	// Output:
	// 01000000000000000000000000000000-4 192.0.2.1:5353 name_loop
	// 1970-01-01T00:00:01.000000000Z dns.anomaly 192.0.2.1:5353 → 192.0.2.53:53 reason=name_loop severity=warning count=1
}
