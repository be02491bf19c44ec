package publish

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// hostileServer takes messages in place of the client's library, and loses, refuses,
// forgets and answers as it pleases, for a number of messages. What it says that it
// has stored, it has.
type hostileServer struct {
	t       *jetStream
	refused func(id string) bool // for good, always

	mu      sync.Mutex
	rand    *rand.Rand
	hostile int // messages until it behaves
	stored  map[string]uint64
	batches map[string]uint64 // the number that comes next in each; 0: ended
	answers []*nats.Msg       // not given yet, in no order
}

// garbage is no acknowledgement of ours, whatever it looks like.
var garbage = []string{
	"", " ", "{", "null", "[]", "7", "\x00\xff", `"ack"`, `{}`, `{"seq":7}`, `{"stream":""}`, `{"stream":7,"seq":7}`,
	`{"stream":"FLOWSCOPE","seq":-1}`, `{"stream":"FLOWSCOPE","seq":1e99}`, `{"stream":"FLOWSCOPE","seq":7`,
	`{"stream":"OTHER","seq":7}`, `{"stream":"OTHER","error":{"code":400}}`, `{"error":{"code":"x"}}`, `{"error":{}}`,
	`{"type":"gap"}`, `{"type":"err"}`, `{"type":"what","seq":7}`,
	strings.Repeat("[", 1<<17), `{"stream":"` + strings.Repeat("x", maxAck) + `"}`,
}

// passing are refusals that another attempt may overcome.
var passing = []string{
	`{"error":{"code":429,"err_code":10167,"description":"too many requests"},"stream":"FLOWSCOPE","seq":0}`,
	`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"FLOWSCOPE","seq":0}`,
	`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`,
	`{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"}}`,
	`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`,
	`{"error":{"code":400,"err_code":10109,"description":"invalid operation on sealed stream"},"stream":"FLOWSCOPE"}`,
	`{"error":{"code":400,"err_code":10002,"description":"resource limits exceeded for account"},"stream":"FLOWSCOPE"}`,
	`{"error":{"code":408,"err_code":10001,"description":"request time-out"}}`,
}

const tooLarge = `{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"stream":"FLOWSCOPE","seq":0}`

func (s *hostileServer) any(of []string) string { return of[s.rand.IntN(len(of))] }

// put is nats.Conn.PublishMsg.
func (s *hostileServer) put(m *nats.Msg) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dice := s.rand.IntN(100)
	if s.hostile--; s.hostile < 0 {
		dice = 99
	}
	if dice < 5 {
		return nats.ErrReconnectBufExceeded
	}
	if dice < 8 {
		return nil // lost on the way
	}
	reply := strings.Clone(m.Reply)
	id := ""
	if ids := m.Header["Nats-Msg-Id"]; len(ids) == 1 {
		id = strings.Clone(ids[0])
	}
	if strings.HasSuffix(reply, fastSuffix) {
		s.putFast(reply, id, dice)
		return nil
	}
	switch {
	case s.refused(id):
		s.answer(reply, tooLarge)
	case dice < 16:
		s.answer(reply, s.any(passing))
	case dice < 20:
		s.answer(reply, s.any(garbage))
	case dice < 24:
		s.store(id) // the answer is lost
	case dice < 28:
		s.store(id)
		s.answer(reply, s.any(garbage))
	default:
		known := s.stored[id] != 0
		text := fmt.Sprintf(`{"stream":"FLOWSCOPE","seq":%d}`, s.store(id))
		if known {
			text = strings.Replace(text, "}", `,"duplicate":true}`, 1)
		}
		s.answer(reply, text)
		if dice < 32 {
			s.answer(reply, text)
			s.answer(reply, s.any(garbage))
		}
	}
	return nil
}

// putFast is the same for an operation on a fast batch.
func (s *hostileServer) putFast(reply, id string, dice int) {
	tokens := strings.Split(strings.TrimPrefix(reply, s.t.inbox), ".")
	batch, operation := tokens[0], tokens[4]
	number, err := strconv.ParseUint(tokens[3], 10, 64)
	if err != nil {
		panic(err)
	}
	next, known := s.batches[batch]
	end := func(text string) {
		s.batches[batch] = 0
		s.answer(reply, text)
	}
	commit := func(count uint64) {
		end(fmt.Sprintf(`{"stream":"FLOWSCOPE","seq":%d,"batch":%q,"count":%d}`, len(s.stored), batch, count))
	}
	switch {
	case !known && number != 1:
		end(`{"stream":"FLOWSCOPE","seq":0,"error":{"code":400,"err_code":10208,"description":"batch publish ID unknown"}}`)
		return
	case !known:
		next = 1
	case next == 0:
		return
	}
	if number != next {
		s.answer(reply, fmt.Sprintf(`{"type":"gap","last_seq":%d,"seq":%d}`, next, number))
		commit(next - 1)
		return
	}
	switch {
	case dice < 9:
		end(s.any(passing))
	case dice < 10:
		s.store(id)
		end(s.any(garbage))
	case operation == fastClose:
		commit(number - 1)
	case s.refused(id):
		end(tooLarge)
	default:
		s.store(id)
		s.batches[batch] = number + 1
		if number == 1 || dice < 20 || number%50 == 0 {
			s.answer(reply, fmt.Sprintf(`{"type":"ack","seq":%d,"msgs":%d}`, number, s.rand.IntN(600)))
		}
	}
}

func (s *hostileServer) store(id string) uint64 {
	if s.stored[id] == 0 && id != "" {
		s.stored[id] = uint64(len(s.stored)) + 1
	}
	return s.stored[id]
}

func (s *hostileServer) answer(reply, text string) {
	s.answers = append(s.answers, &nats.Msg{Subject: reply, Data: []byte(text)})
}

// serve gives the answers, some of them late, from one goroutine as the client's
// library does, until done is closed.
func (s *hostileServer) serve(done chan struct{}) {
	for {
		s.mu.Lock()
		var m *nats.Msg
		if n := len(s.answers); n > 0 {
			k := s.rand.IntN(min(n, 3))
			m = s.answers[k]
			s.answers = append(s.answers[:k], s.answers[k+1:]...)
		}
		s.mu.Unlock()
		if m != nil {
			s.t.answer(m)
			continue
		}
		select {
		case <-done:
			return
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// waysToStore are the ways of handing events to a stream.
var waysToStore = []struct {
	name, mode string
	batch      int // bytes
}{
	{"single", ModeJetStream, 0},
	{"batched", ModeJetStream, 2048},
	{"fast", ModeFast, 0},
	{"fast and batched", ModeFast, 2048},
}

// TestHostileServer holds every way of sending, and windows down to a single
// message, to the promise whatever is answered: the account balances all the time,
// what counts as acknowledged is stored, what is refused for good is a dead letter,
// and in the end nothing is left.
func TestHostileServer(t *testing.T) {
	for _, mode := range waysToStore {
		for _, window := range []struct{ messages, bytes, events int }{
			{4096, 64 << 20, 3000},
			{64, 1 << 16, 1000},
			{1, 1 << 16, 50},
		} {
			t.Run(fmt.Sprintf("%s, %d messages", mode.name, window.messages), func(t *testing.T) {
				t.Parallel()
				cfg := DefaultConfig()
				cfg.Mode, cfg.BatchBytes, cfg.InFlight = mode.mode, mode.batch, InFlight{window.messages, window.bytes}
				cfg.AckTimeout, cfg.StallTimeout = 200*time.Millisecond, time.Minute
				tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
				seed := rand.Uint64()
				s := &hostileServer{
					t: tr, rand: rand.New(rand.NewPCG(seed, 0)), stored: map[string]uint64{}, batches: map[string]uint64{},
					refused: func(id string) bool { return strings.HasSuffix(id, "7") }, hostile: window.events,
				}
				if mode.batch > 0 {
					s.hostile /= 10 // there are fewer messages than events
				}
				tr.put = s.put
				done := make(chan struct{})
				var beside sync.WaitGroup
				beside.Go(func() { s.serve(done) })
				t.Cleanup(func() { close(done); beside.Wait() })
				checkHostile(t, s, cfg, seed, window.events)
			})
		}
	}
}

func checkHostile(t *testing.T, s *hostileServer, cfg Config, seed uint64, events int) {
	reg := deliveryRegistry(t)
	p := runPublisher(t, cfg, Options{Registry: reg}, s.t)
	sink, m := p.Sink(0), newMaker(reg, 1)
	want, letters := map[string]bool{}, uint64(0)
	for i := range events {
		e := m.event(t, "dns", "query")
		sink.HandleEvent(e)
		want[e.ID()] = true
		if i%10 == 9 {
			sink.Tick(time.Unix(int64(i), 0))
			checkBalance(t, p.Ledger())
		}
	}
	sink.Close()
	if err := p.Close(within(t, time.Minute)); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if cfg.BatchBytes > 0 {
		// The ids are those of batches; the number of events is in the ledger.
		if l.Events.Acknowledged+l.Events.DeadLetter != uint64(events) {
			t.Errorf("seed %d: %+v, want %d acknowledged or dead letters", seed, l.Events, events)
		}
		return
	}
	for id := range want {
		if s.refused(id) {
			letters++
		} else if s.stored[id] == 0 {
			t.Errorf("seed %d: %s is lost", seed, id)
		}
	}
	if e := l.Events; e.DeadLetter != letters || e.Acknowledged != uint64(events)-letters {
		t.Errorf("seed %d: %+v, want %d dead letters", seed, e, letters)
	}
}

// oneSent sends an event to nobody, and returns where it is to be acknowledged.
func oneSent(t *testing.T, cfg Config, tr *jetStream) (p *Publisher, reply string) {
	t.Helper()
	tr.put = func(m *nats.Msg) error {
		reply = strings.Clone(m.Reply)
		return nil
	}
	p, batch := handedOver(t, cfg, tr, 1)
	if err := tr.publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return p, reply
}

// What is refused for the moment waits for 100 ms at first, twice as long each time, and
// for 5 s at most.
func TestBackOff(t *testing.T) {
	cfg := DefaultConfig()
	tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
	defer tr.close()
	p, reply := oneSent(t, cfg, tr)
	k, _, _ := tr.slotOf(reply)
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		want *= time.Millisecond
		before := time.Now()
		tr.answer(&nats.Msg{Subject: reply, Data: []byte(passing[i])})
		after := time.Now()
		if due := tr.slots[k].due; due.Before(before.Add(want)) || due.After(after.Add(want)) {
			t.Errorf("refusal %d: sent again after %v, want %v", i, due.Sub(before), want)
		}
		tr.sendAgain(k, time.Now().Add(time.Minute), false)
	}
	if e := p.Ledger().Events; e.Pending != 1 || e.Resent != 8 {
		t.Errorf("%+v, want one pending, resent 8 times", e)
	}
}

// Only our own domain's and stream's acknowledgement counts: where others take the same
// subjects, they answer as well, and may be the first.
func TestAcknowledgementsOfOthersDoNotCount(t *testing.T) {
	const ours = `{"stream":"FLOWSCOPE","domain":"edge","seq":1}`
	others := []string{
		`{"stream":"FLOWSCOPE","domain":"hub","seq":1}`, `{"stream":"FLOWSCOPE","seq":1}`,
		`{"stream":"OTHER","domain":"edge","seq":1}`, `{"stream":"FLOWSCOPE","domain":"hub","seq":1,"duplicate":true}`,
		`{"stream":"OTHER","error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}`,
	}
	cfg := DefaultConfig()
	cfg.Stream.Domain = "edge"
	tr := newJetStreamFor(t, startServer(t, embedded.Config{Domain: "edge"}), cfg).(*jetStream)
	defer tr.close()
	p, reply := oneSent(t, cfg, tr)
	for _, text := range others {
		tr.answer(&nats.Msg{Subject: reply, Data: []byte(text)})
		if e := p.Ledger().Events; e.Pending != 1 {
			t.Fatalf("%s counts: %+v", text, e)
		}
	}
	tr.answer(&nats.Msg{Subject: reply, Data: []byte(ours)})
	if e := p.Ledger().Events; e.Acknowledged != 1 {
		t.Errorf("%s does not count: %+v", ours, e)
	}
}
