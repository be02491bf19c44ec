package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamSubject returns the subject that the stream must cover so that it holds
// the events of all sensors: <prefix>.>, with * for a token that holds the
// sensor's name.
func StreamSubject(prefix string) string {
	tokens := strings.Split(prefix, ".")
	for i, t := range tokens {
		if strings.Contains(t, SensorPlaceholder) {
			tokens[i] = "*"
		}
	}
	return strings.Join(append(tokens, ">"), ".")
}

// StreamCommand returns the nats command that creates the stream.
func StreamCommand(cfg Config) string {
	s := cfg.Resolved().Stream
	b := fmt.Appendf(nil, "nats stream add %s --subjects '%s' --storage %s --replicas %d --retention limits --discard old --dupe-window %s",
		s.Name, StreamSubject(cfg.Prefix), s.Storage, s.Replicas, shortDuration(s.DuplicateWindow))
	if s.MaxBytes > 0 {
		b = fmt.Appendf(b, " --max-bytes %d", s.MaxBytes)
	}
	if s.MaxAge > 0 {
		b = fmt.Appendf(b, " --max-age %s", shortDuration(s.MaxAge))
	}
	if cfg.Mode == ModeFast {
		b = append(b, " --allow-fast"...)
	}
	return string(append(b, " --defaults"...))
}

// shortDuration writes 2m for 2m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// StreamError says that the stream is not there or does not take the events,
// and what to do about it.
type StreamError struct {
	Stream string
	// Problem is what is wrong, Command what would put it right, "" if nothing
	// simple would.
	Problem, Command string
	Err              error

	// missing says that the stream is not there, and others may be in its way.
	missing bool
}

// Error names the stream, the problem and the command.
func (e *StreamError) Error() string {
	s := fmt.Sprintf("stream %s %s", e.Stream, e.Problem)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Command != "" {
		s += "; this would do it: " + e.Command
	}
	return s
}

// Unwrap returns Err.
func (e *StreamError) Unwrap() error { return e.Err }

// streamFacts is what a publisher needs to know of its stream.
type streamFacts struct {
	duplicates time.Duration // its duplicate window
	maxMessage int           // its largest message, 0 for the server's limit only
	lastSeq    uint64        // when it was looked up
	created    time.Time     // tells a stream from its successor of the same name

	// longer is when the window was last seen to be longer than before, if it ever was,
	// shortest what it was at least before that.
	longer   time.Time
	shortest time.Duration
}

// window takes note of what the duplicate window is now.
func (f *streamFacts) window(d time.Duration, now time.Time) {
	if d > f.duplicates {
		if f.longer.IsZero() || f.duplicates < f.shortest {
			f.shortest = f.duplicates
		}
		f.longer = now
	}
	f.duplicates = d
}

// remembers is how long the stream remembers an id that was sent first at some time: a
// window that is longer by now does not bring back what was forgotten before.
func (f *streamFacts) remembers(first time.Time) time.Duration {
	if first.Before(f.longer) {
		return min(f.shortest, f.duplicates)
	}
	return f.duplicates
}

// setUpStream finds or creates the stream. It never changes one. In mode off it
// does nothing.
func setUpStream(ctx context.Context, js jetstream.JetStream, cfg Config) (*streamFacts, error) {
	s := cfg.Stream
	if s.Mode == StreamOff || cfg.Mode == ModeCore {
		return &streamFacts{duplicates: s.DuplicateWindow}, nil
	}
	if err := offersFast(js, cfg); err != nil {
		return nil, err
	}
	found, err := js.Stream(ctx, s.Name)
	switch {
	case err == nil:
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, &StreamError{Stream: s.Name, Problem: "cannot be looked up", Err: err}
	case s.Mode == StreamVerify:
		return nil, &StreamError{Stream: s.Name, Problem: "does not exist", Command: StreamCommand(cfg), missing: true}
	default:
		if found, err = js.CreateStream(ctx, streamConfig(cfg)); err != nil {
			return nil, &StreamError{Stream: s.Name, Problem: "cannot be created", Err: err, missing: overlaps(err)}
		}
	}
	have := found.CachedInfo().Config
	if want := StreamSubject(cfg.Prefix); !covers(have.Subjects, want) {
		wrong := &StreamError{Stream: s.Name, Problem: fmt.Sprintf("takes %s, but not %s", strings.Join(have.Subjects, ", "), want)}
		if all, ok := withSubject(have.Subjects, want); ok {
			wrong.Command = fmt.Sprintf("nats stream edit %s --subjects '%s'", s.Name, strings.Join(all, ","))
		}
		return nil, wrong
	}
	if cfg.Mode == ModeFast && !have.AllowBatchPublish {
		return nil, &StreamError{
			Stream: s.Name, Problem: "does not allow fast ingest (allow_batched)",
			Command: fmt.Sprintf("nats stream edit %s --allow-fast", s.Name),
		}
	}
	return &streamFacts{
		duplicates: have.Duplicates, maxMessage: max(int(have.MaxMsgSize), 0),
		lastSeq: found.CachedInfo().State.LastSeq, created: found.CachedInfo().Created,
	}, nil
}

// offersFast says whether the server can do what is configured. It must be asked
// before a stream is created: one that is too old would leave out what it does not
// know (ADR-50 of NATS: fast ingest came with 2.14).
func offersFast(js jetstream.JetStream, cfg Config) error {
	version := js.Conn().ConnectedServerVersion()
	if cfg.Mode != ModeFast || !olderThan(version, 2, 14) {
		return nil
	}
	return &StreamError{
		Stream:  cfg.Stream.Name,
		Problem: fmt.Sprintf("is not used: fast ingest needs a server 2.14 or later, this one is %s", version),
	}
}

// olderThan compares a version, such as 2.14.0-RC.1; one that cannot be read is not
// older.
func olderThan(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a < major || a == major && b < minor
}

func streamConfig(cfg Config) jetstream.StreamConfig {
	s := cfg.Stream
	c := jetstream.StreamConfig{
		Name:        s.Name,
		Description: "events of flowscope sensors",
		Subjects:    []string{StreamSubject(cfg.Prefix)},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		Storage:     jetstream.FileStorage,
		Replicas:    s.Replicas,
		MaxBytes:    -1,
		MaxAge:      s.MaxAge,
		Duplicates:  s.DuplicateWindow,
		AllowDirect: true,

		AllowBatchPublish: cfg.Mode == ModeFast,
	}
	if s.Storage == "memory" {
		c.Storage = jetstream.MemoryStorage
	}
	if s.MaxBytes > 0 {
		c.MaxBytes = s.MaxBytes
	}
	return c
}

// covers says whether one of the patterns takes everything that want takes.
func covers(patterns []string, want string) bool {
	for _, p := range patterns {
		if coversOne(strings.Split(p, "."), strings.Split(want, ".")) {
			return true
		}
	}
	return false
}

// withSubject adds a pattern to those of a stream, in place of those that it covers. It
// is false if a server would refuse that, because one overlaps with it in part.
func withSubject(patterns []string, add string) ([]string, bool) {
	var all []string
	for _, p := range patterns {
		switch {
		case covers([]string{add}, p):
		case overlap(strings.Split(p, "."), strings.Split(add, ".")):
			return nil, false
		default:
			all = append(all, p)
		}
	}
	return append(all, add), true
}

// overlap says whether there are subjects that both patterns take.
func overlap(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == ">" || b[i] == ">":
			return true
		case a[i] != b[i] && a[i] != "*" && b[i] != "*":
			return false
		}
	}
	return len(a) == len(b)
}

func coversOne(pattern, want []string) bool {
	for i, p := range pattern {
		switch {
		case p == ">":
			return len(want) > i
		case i >= len(want) || want[i] == ">":
			return false
		case p != "*" && p != want[i]:
			return false
		}
	}
	return len(pattern) == len(want)
}
