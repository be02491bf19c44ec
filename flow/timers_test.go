package flow

import (
	"cmp"
	"slices"
	"testing"
	"unsafe"

	"flowscope/ingest"

	"pgregory.net/rapid"
)

func TestFlowRecordSize(t *testing.T) {
	if size := unsafe.Sizeof(Flow{}); size != 256 {
		t.Errorf("a flow's record takes %d bytes, want 256: four cache lines", size)
	}
}

// The timers must fire what a sorted list of deadlines fires, in its order.
func TestTimersAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		timers := newTimers(&s)
		now := ingest.Timestamp(rapid.Int64Range(0, 1<<40).Draw(t, "start"))
		timers.restart(now)
		live := map[slot]bool{}
		type expiry struct {
			at ingest.Timestamp
			n  slot
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0: // a new flow
				var k Key
				k.Scope = uint64(s.used + s.live + int(now))
				n := s.insert(&k, uint64(now)*0x9e3779b97f4a7c15+uint64(s.used))
				f := s.at(n)
				f.lastClock, f.armed, f.wake = now, noDeadline, noDeadline
				f.idle = rapid.Uint32Range(1, 400_000).Draw(t, "idle")
				live[n] = true
				timers.arm(n, s.deadline(f))
			case 1: // a packet on some flow
				if n := pick(t, &s); live[n] {
					s.at(n).lastClock = now
				}
			case 2: // an earlier wake-up
				if n := pick(t, &s); live[n] {
					s.at(n).wake = now + ingest.Timestamp(rapid.Int64Range(0, 1<<38).Draw(t, "wake"))
					timers.advance(n)
				}
			case 3:
				now += ingest.Timestamp(rapid.Int64Range(0, 1<<39).Draw(t, "step"))
				var want []expiry
				for n := range live {
					if d := s.deadline(s.at(n)); d <= now {
						want = append(want, expiry{d, n})
					}
				}
				slices.SortFunc(want, func(a, b expiry) int {
					return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.n, b.n))
				})
				var got []expiry
				if now >= timers.next {
					for n := timers.expired(now); n != noSlot; n = timers.expired(now) {
						got = append(got, expiry{s.deadline(s.at(n)), n})
						delete(live, n)
						s.at(n).idle = 0
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("at %d: fired %v, want %v", now, got, want)
				}
			}
		}
	})
}

func TestStoreAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		model := map[Key]slot{}
		// Few hash values, so that entries crowd and wrap.
		hash := func(k *Key) uint64 { return (k.Scope % 37) << 32 * 0x1f }
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			k := Key{Scope: rapid.Uint64Range(0, 120).Draw(t, "key")}
			n, known := model[k]
			if got := s.find(&k, hash(&k)); known && got != n || !known && got != noSlot {
				t.Fatalf("find %d: %d, want %d (%v)", k.Scope, got, n, known)
			}
			if known {
				s.remove(n, hash(&k))
				delete(model, k)
			} else {
				model[k] = s.insert(&k, hash(&k))
			}
		}
	})
}

func pick(t *rapid.T, s *store) slot { return slot(rapid.IntRange(0, s.used).Draw(t, "slot")) }
