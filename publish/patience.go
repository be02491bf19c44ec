package publish

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// electionWait is how long the first request waits for a cluster without a
	// leader: a server waits up to nine seconds before it stands for election, and
	// not each is elected.
	electionWait = 30 * time.Second
	// beliefWait is how long a server must go on to say no: one that has just been
	// started has not found its streams, and consumers that are gone count against
	// limits until they are forgotten.
	beliefWait = forgottenAfter + 15*time.Second
	// tryPause is the time between two tries.
	tryPause = 250 * time.Millisecond
)

// whenLed calls f, which makes requests; again while a cluster has no leader, for
// some time.
func whenLed(ctx context.Context, nc *nats.Conn, f func() error) error {
	before := nc.LastError()
	for begin := time.Now(); ; {
		err := f()
		unanswered := errors.Is(err, context.DeadlineExceeded) && refusedSince(nc, before) == nil
		if !leaderless(err) && !unanswered || time.Since(begin) > electionWait || !pause(ctx, tryPause) {
			return err
		}
	}
}

// keepTrying makes requests by f until they succeed, ctx ends, the connection is
// closed for good, or the server goes on saying no.
func keepTrying(ctx context.Context, nc *nats.Conn, f func(context.Context) error) error {
	before := nc.LastError()
	var no time.Time // the first of the latest answers that said so
	for {
		err := request(ctx, nc, requestWait, f)
		var replaced *replacedError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case refusedSince(nc, before) != nil, nc.IsClosed(), errors.As(err, &replaced):
			return err
		case !saysNo(err):
			no = time.Time{}
		case no.IsZero():
			no = time.Now()
		case time.Since(no) > beliefWait:
			return err
		}
		if !pause(ctx, tryPause) {
			return ctx.Err()
		}
	}
}

// leaderless says that a cluster has answered that it can do nothing at present.
func leaderless(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code == 503 && !disabled(api)
}

// saysNo says that it has answered otherwise than by success.
func saysNo(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.Code < 500 || disabled(api))
}

// disabled says that there is no JetStream.
func disabled(err *jetstream.APIError) bool {
	return err.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled || err.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount
}

// pause waits; it says whether that was to the end.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
