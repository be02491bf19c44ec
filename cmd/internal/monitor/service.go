package monitor

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flowscope/cmd/internal/status"
)

// ServiceName is the name of the NATS micro service, and the first token of its
// endpoint's subject.
const ServiceName = "flowscope"

// StatusSubject is where every sensor answers with its status.Status as JSON.
const StatusSubject = ServiceName + "_status"

// serviceVersion is that of the service's answers, not of the program.
const serviceVersion = "1.0.0"

// Offer makes the sensor a NATS micro service: the standard verbs ping, info and
// stats, and an endpoint "status". Every sensor answers, not one of them: so one
// request finds a fleet. The returned function ends it.
func Offer(nc *nats.Conn, get func() *status.Status) (stop func() error, err error) {
	s := get()
	service, err := micro.AddService(nc, micro.Config{
		Name: ServiceName, Version: serviceVersion,
		Description: "a passive network sensor",
		Metadata:    map[string]string{"sensor": s.Sensor, "run": s.Run, "version": s.Version},
		StatsHandler: func(*micro.Endpoint) any {
			s := get()
			return map[string]any{"state": s.State, "ready": s.Ready, "packets": s.Ledger.Packets.Received, "events": s.Ledger.Events.Made}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("offer the NATS service: %w", err)
	}
	err = service.AddEndpoint("status", micro.HandlerFunc(func(r micro.Request) {
		_ = r.RespondJSON(get()) // whoever asked sees no answer
	}), micro.WithEndpointSubject(StatusSubject), micro.WithEndpointQueueGroupDisabled())
	if err != nil {
		_ = service.Stop()
		return nil, fmt.Errorf("offer the NATS service: %w", err)
	}
	return service.Stop, nil
}
