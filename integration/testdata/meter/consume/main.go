// Command consume prints the meter readings among the events on its standard
// input, which is what `meter replay --to stdout --format msgpack` writes.
package main

import (
	"flowscope/publish"
	"flowscope/session"
	"fmt"
	"io"
	"log"
	"os"

	"example.org/meter/meter"
)

func main() {
	registry, err := session.NewRegistry(meter.New())
	if err != nil {
		log.Fatal(err)
	}
	events, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range publish.DecodeAll(events, registry) {
		if err != nil {
			log.Fatal(err)
		}
		switch m := e.Message.(type) {
		case *meter.Reading:
			fmt.Printf("%v %v reading %d: %d W at %s\n", e.Flow.Transport, e.Flow.Src, m.Number, m.Watts, m.Place)
		case *meter.Ack:
			fmt.Printf("%v %v ack %d after %d ns\n", e.Flow.Transport, e.Flow.Src, m.Number, m.Delay)
		}
	}
}
