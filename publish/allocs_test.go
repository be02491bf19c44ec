package publish

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// instantServer takes messages in place of the client's library and acknowledges
// them before they are sent, as it were.
type instantServer struct {
	t      *jetStream
	stored uint64
	buf    []byte
	msg    nats.Msg
}

func (s *instantServer) put(m *nats.Msg) error {
	if m.Reply == "" {
		return nil // core NATS
	}
	ours := strings.HasPrefix(m.Reply, s.t.inbox)
	if !ours {
		return fmt.Errorf("reply to %s", m.Reply)
	}
	s.msg.Subject = m.Reply
	if !strings.HasSuffix(m.Reply, fastSuffix) {
		s.stored++
		s.buf = append(strconv.AppendUint(append(s.buf[:0], `{"stream":"FLOWSCOPE","seq":`...), s.stored, 10), '}')
		s.answer()
		return nil
	}
	rest := strings.TrimSuffix(m.Reply, fastSuffix)
	operation := rest[len(rest)-1:]
	rest = rest[:len(rest)-2]
	number, err := strconv.ParseUint(rest[strings.LastIndexByte(rest, '.')+1:], 10, 64)
	switch {
	case err != nil:
		return err
	case operation == fastClose:
		s.buf = fmt.Appendf(s.buf[:0], `{"stream":"FLOWSCOPE","seq":%d,"batch":"b","count":%d}`, s.stored, number-1)
		s.answer()
	default:
		if s.stored++; number%fastFlow == 0 {
			s.buf = fmt.Appendf(s.buf[:0], `{"type":"ack","seq":%d,"msgs":%d}`, number, fastFlow)
			s.answer()
		}
	}
	return nil
}

func (s *instantServer) answer() {
	s.msg.Data = s.buf
	s.t.answer(&s.msg)
}

// TestSendingAllocatesNothing is the budget of everything between the encoder and
// the client's library, and back from the acknowledgement, in steady state: what is
// allocated for each batch or acknowledgement of many is far less than one tenth
// per event. In live capture each event may be a batch.
func TestSendingAllocatesNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		mode  string
		batch int
		live  bool
	}{
		{"single", ModeJetStream, 0, false},
		{"batched", ModeJetStream, 16 << 10, false},
		{"fast", ModeFast, 0, false},
		{"fast and batched", ModeFast, 16 << 10, false},
		{"core", ModeCore, 0, false},
		{"single, live", ModeJetStream, 0, true},
		{"batched, live", ModeJetStream, 16 << 10, true},
		{"core, live", ModeCore, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Mode, cfg.BatchBytes, cfg.Heartbeat = tt.mode, tt.batch, 0
			cfg.QueueBytes = 4 << 20 // so that soon all batches were used once
			tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
			server := &instantServer{t: tr}
			tr.put = server.put
			p, err := newPublisher(cfg, Options{Sensor: "test", Run: "run1", Registry: deliveryRegistry(t), Workers: 1, Live: tt.live}, tr,
				func() appender { return &trivialEncoder{make([]byte, 500)} })
			if err != nil {
				t.Fatal(err)
			}
			result := make(chan error, 1)
			go func() { result <- p.Run(t.Context()) }()
			sink := p.Sink(0)
			e := newMaker(p.opts.Registry, 1).event(t, "dns", "query")
			tick := time.Unix(1, 0)
			events := func(n int) {
				for range n {
					sink.HandleEvent(e)
					if !tt.live {
						continue
					}
					sink.Tick(tick)
					for p.account.waiting() > 0 {
						sink.Tick(tick) // an event about the sensor may have stood in the queue
						runtime.Gosched()
					}
				}
			}
			events(50_000) // batches, lists and the like grow to their size
			const n = 200_000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			events(n)
			runtime.ReadMemStats(&after)
			sink.Close()
			if err := p.Close(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			l := p.Ledger().Events
			if l.Acknowledged+l.Sent != 50_000+n {
				t.Fatalf("%+v", l)
			}
			each := float64(after.Mallocs-before.Mallocs) / n
			t.Logf("%.4f allocations, %.1f bytes per event", each, float64(after.TotalAlloc-before.TotalAlloc)/n)
			if each >= 0.1 {
				t.Errorf("%.3f allocations per event", each)
			}
		})
	}
}
