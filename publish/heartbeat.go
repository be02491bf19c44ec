package publish

import (
	"context"
	"fmt"
	"time"

	"flowscope/session"
	"flowscope/session/pack"
)

// Heartbeat is the message of sensor.heartbeat events: that the sensor lives, and
// how far its numbers go.
type Heartbeat struct {
	// Pending is the number of events that are not delivered yet.
	Pending uint64 `msgpack:"pending" json:"pending"`
	// QueueBytes is the memory of events that wait for the publisher.
	QueueBytes uint64 `msgpack:"queue_bytes" json:"queue_bytes"`
	// BodiesShed is the number of messages whose body was left out because the
	// queue ran full.
	BodiesShed uint64 `msgpack:"bodies_shed,omitempty" json:"bodies_shed,omitempty"`
	// Last has the latest number of each worker on each subject.
	Last []LastNumber `msgpack:"last,omitempty" json:"last,omitempty"`
}

// LastNumber is the n of the last Flowscope-Seq of one worker on one subject.
type LastNumber struct {
	Subject string `msgpack:"subject" json:"subject"`
	Worker  int    `msgpack:"worker" json:"worker"`
	N       uint64 `msgpack:"n" json:"n"`
	// Elsewhere is how many of the numbers up to N are not in the stream because it had
	// their events already, under numbers of another run.
	Elsewhere uint64 `msgpack:"elsewhere,omitempty" json:"elsewhere,omitempty"`
}

var _ session.Message = (*Heartbeat)(nil)

// Kind is heartbeat.
func (h *Heartbeat) Kind() string { return "heartbeat" }

// AppendMsgpack appends the message as one map.
func (h *Heartbeat) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("pending", h.Pending)
	m.Uint("queue_bytes", h.QueueBytes)
	if h.BodiesShed != 0 {
		m.Uint("bodies_shed", h.BodiesShed)
	}
	if len(h.Last) > 0 {
		m.Key("last")
		m.B = appendLast(m.B, h.Last)
	}
	return m.End()
}

func appendLast(b []byte, last []LastNumber) []byte {
	b = pack.ArrayHeader(b, len(last))
	for i := range last {
		l := &last[i]
		m := pack.BeginMap(b)
		m.String("subject", l.Subject)
		m.Key("worker")
		m.B = pack.Int(m.B, int64(l.Worker))
		m.Uint("n", l.N)
		if l.Elsewhere != 0 {
			m.Uint("elsewhere", l.Elsewhere)
		}
		b = m.End()
	}
	return b
}

// State is the message of sensor.state events: what the sensor does from now on.
type State struct {
	// State is started, shedding, recovered, interface_down, interface_up or
	// stopping.
	State string `msgpack:"state" json:"state"`
	// What is shed from now on, or not any more: events or flows; of shedding and
	// recovered.
	What string `msgpack:"what,omitempty" json:"what,omitempty"`
	// Weight is how many flows each one stands for that begins from now on, while
	// flows are shed.
	Weight uint64 `msgpack:"weight,omitempty" json:"weight,omitempty"`
	// Interface is the network interface, of interface_down and interface_up.
	Interface string `msgpack:"interface,omitempty" json:"interface,omitempty"`
	// Unseen is how many packets had passed an interface that was made anew before it
	// was captured on, of interface_up.
	Unseen uint64 `msgpack:"unseen,omitempty" json:"unseen,omitempty"`
	// Detail is for people.
	Detail string `msgpack:"detail,omitempty" json:"detail,omitempty"`
}

var _ session.Message = (*State)(nil)

// Kind is state.
func (s *State) Kind() string { return "state" }

// AppendMsgpack appends the message as one map.
func (s *State) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.String("state", s.State)
	if s.What != "" {
		m.String("what", s.What)
	}
	if s.Weight != 0 {
		m.Uint("weight", s.Weight)
	}
	if s.Interface != "" {
		m.String("interface", s.Interface)
	}
	if s.Unseen != 0 {
		m.Uint("unseen", s.Unseen)
	}
	if s.Detail != "" {
		m.Key("detail")
		m.B = pack.TextString(m.B, s.Detail)
	}
	return m.End()
}

// The states.
const (
	StateStarted       = "started"
	StateShedding      = "shedding"
	StateRecovered     = "recovered"
	StateInterfaceDown = "interface_down"
	StateInterfaceUp   = "interface_up"
	StateStopping      = "stopping"
)

// The values of State.What.
const (
	ShedEvents = "events"
	ShedFlows  = "flows"
)

// stateInterval is how often the queue is looked at for a change of state.
const stateInterval = 500 * time.Millisecond

// Heartbeat returns what a heartbeat says at the moment.
func (p *Publisher) Heartbeat() *Heartbeat {
	h := &Heartbeat{QueueBytes: uint64(p.queue.held())}
	a := p.account
	a.mu.Lock()
	defer a.mu.Unlock()
	h.Pending, h.BodiesShed = a.pending, 0
	for i := range a.workers {
		h.BodiesShed += a.workers[i].bodies
	}
	h.Last = a.last(a.handed, p.subjects)
	return h
}

// beat tells of a live sensor until ctx ends: at once that it has started, then
// heartbeats and ledgers at each interval, and when it begins or ends to shed
// events. Behind a queue that is nearly full it is silent, so that it takes no
// memory while nothing is delivered.
func (p *Publisher) beat(ctx context.Context) {
	p.tell(&State{State: StateStarted})
	look := time.NewTicker(stateInterval)
	defer look.Stop()
	last := time.Now()
	shedding := false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			fill := p.queue.fill()
			if over := shedBelow(fill) > classTick; over != shedding {
				// Without news of half a level it would flutter.
				if shedding = over || fill >= shedAt[classTick]-2; shedding == over {
					p.tellShedding(over)
				}
			}
			if interval := time.Duration(p.heartbeat.Load()); interval > 0 && now.Sub(last) >= interval {
				last = now
				p.tellAll()
			}
		}
	}
}

func (p *Publisher) tellShedding(shedding bool) {
	if shedding {
		p.opts.Log.Warn("the queue before the publisher runs full: events are dropped")
		p.tell(&State{State: StateShedding, What: ShedEvents, Detail: "the queue before the publisher runs full"})
		return
	}
	p.opts.Log.Info("no events are dropped any more")
	p.tell(&State{State: StateRecovered, What: ShedEvents})
}

// TellFlowsShed logs and announces that of so many flows that begin from now on one
// is followed; 1 is all of them.
func (p *Publisher) TellFlowsShed(weight int) {
	if weight > 1 {
		p.opts.Log.Warn("the queue before the publisher stays full: whole flows are left out", "one_in", weight)
		p.tell(&State{State: StateShedding, What: ShedFlows, Weight: uint64(weight), Detail: fmt.Sprintf("of the flows that begin one in %d is followed", weight)})
		return
	}
	p.opts.Log.Info("all flows are followed again")
	p.tell(&State{State: StateRecovered, What: ShedFlows})
}

// TellInterface announces that packets of a network interface can come from now on,
// or not any more. Unseen is how many it is known to have missed of an interface that
// was made anew; detail is for people. It never waits.
func (p *Publisher) TellInterface(name string, up bool, unseen uint64, detail string) {
	state := StateInterfaceDown
	if up {
		state = StateInterfaceUp
	}
	p.tell(&State{State: state, Interface: name, Unseen: unseen, Detail: detail})
}

// tellAll sends a heartbeat, and the ledger if there is one.
func (p *Publisher) tellAll() {
	if p.queue.fill() >= shedAt[classFlow] {
		return
	}
	p.tell(p.Heartbeat())
	if p.opts.Ledger != nil {
		p.tell(p.opts.Ledger())
	}
}

// tell sends an event about the sensor; after the end there is nobody to tell.
func (p *Publisher) tell(m session.Message) {
	if err := p.PublishSensor(m); err != nil {
		p.opts.Log.Debug("not told", "error", err)
	}
}
