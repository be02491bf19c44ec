package publish

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// violation returns the server's latest refusal if the account lacks a permission
// for a subject that begins like one of these. The client's library tells it
// beside the request, which then has no answer.
func violation(nc *nats.Conn, subjects ...string) error {
	err := nc.LastError()
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	for _, s := range subjects {
		if strings.Contains(err.Error(), `"`+s) {
			return err
		}
	}
	return nil
}

// requestWait is how long requests to JetStream may take.
const requestWait = 5 * time.Second

// request calls f, which makes requests to JetStream, with a context that ends after
// a while, or when the server refuses one: then there is no answer. The error names
// what was refused.
func request(ctx context.Context, nc *nats.Conn, wait time.Duration, f func(context.Context) error) error {
	before := nc.LastError()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if refusedSince(nc, before) != nil {
					cancel()
				}
			}
		}
	})
	err := f(ctx)
	cancel()
	watch.Wait()
	return withRefusal(nc, err)
}

// refused is the server's latest refusal if it has to do with JetStream.
func refused(nc *nats.Conn) error { return violation(nc, "$JS.", nats.InboxPrefix) }

// refusedSince is the same if it is not the one before.
func refusedSince(nc *nats.Conn, before error) error {
	if v := refused(nc); v != before {
		return v
	}
	return nil
}

// answered says that the server has said what an error says, or what we make of that.
func answered(err error) bool {
	var api *jetstream.APIError
	var wrong *StreamError
	return errors.As(err, &api) || errors.As(err, &wrong) && wrong.Err == nil
}

// withRefusal adds the refusal to the error of a request that had no answer.
func withRefusal(nc *nats.Conn, err error) error {
	if v := refused(nc); err != nil && v != nil && !answered(err) && !errors.Is(err, nats.ErrPermissionViolation) {
		return errors.Join(err, v)
	}
	return err
}
