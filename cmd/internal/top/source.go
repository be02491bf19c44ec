package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/cmd/internal/monitor"
	"flowscope/cmd/internal/status"
)

// Source asks sensors for their status. No sensor at all is not an error.
type Source interface {
	Ask(ctx context.Context) ([]*status.Status, error)
}

// maxAnswer bounds one sensor's answer in bytes, maxSensors their number, with those
// that are remembered.
const (
	maxAnswer  = 4 << 20
	maxSensors = 1000
)

// HTTP asks one sensor at its own endpoint, host:port.
type HTTP struct {
	Address string
	// Wait is how long the whole answer may take: a sensor that hangs accepts
	// connections all the same, by its kernel.
	Wait time.Duration
}

// NewHTTP returns a source that is asked once per interval and waits for two: not so
// short that a busy machine looks like a dead one, nor so long that nobody believes
// what is on the screen.
func NewHTTP(address string, interval time.Duration) *HTTP {
	return &HTTP{Address: address, Wait: min(max(2*interval, time.Second), 5*time.Second)}
}

// Ask implements Source.
func (h *HTTP) Ask(ctx context.Context) ([]*status.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, h.Wait)
	defer cancel()
	s, err := h.ask(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("the sensor on this machine hangs: no answer from %s within %v", h.Address, h.Wait)
	}
	if err != nil {
		return nil, err
	}
	return []*status.Status{s}, nil
}

func (h *HTTP) ask(ctx context.Context) (*status.Status, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Address+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", h.Address, err)
	}
	response, err := http.DefaultClient.Do(request)
	var about *url.Error // its address is in the reason too, and a screen is narrow
	if errors.As(err, &about) {
		err = about.Err
	}
	if err != nil {
		return nil, fmt.Errorf("no sensor on this machine answers: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: %s", h.Address, response.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", h.Address, err)
	}
	s, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", h.Address, err)
	}
	return s, nil
}

// Fleet asks all sensors of a NATS system at once.
type Fleet struct {
	Conn *nats.Conn
	// Wait is how long answers are gathered.
	Wait time.Duration
}

// Ask implements Source.
func (f *Fleet) Ask(ctx context.Context) ([]*status.Status, error) {
	if !f.Conn.IsConnected() {
		return nil, errors.New("ask the sensors: no NATS server is connected, trying again")
	}
	inbox := f.Conn.NewInbox()
	sub, err := f.Conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask the sensors: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := f.Conn.PublishRequest(monitor.StatusSubject, inbox, nil); err != nil {
		return nil, fmt.Errorf("ask the sensors: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.Wait)
	defer cancel()
	var list []*status.Status
	for len(list) < maxSensors {
		msg, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
			return list, f.refused(list)
		}
		if err != nil {
			return list, fmt.Errorf("ask the sensors: %w", err)
		}
		if len(msg.Data) > maxAnswer {
			continue
		}
		if s, err := decode(msg.Data); err == nil { // what is no status is not a sensor's
			list = append(list, s)
		}
	}
	return list, nil
}

// refused is why nobody was heard, if the server has said that the account may not
// ask, or not hear.
func (f *Fleet) refused(list []*status.Status) error {
	if err := f.Conn.LastError(); len(list) == 0 && errors.Is(err, nats.ErrPermissionViolation) {
		return fmt.Errorf("ask the sensors: %w", err)
	}
	return nil
}

func decode(raw []byte) (*status.Status, error) {
	var s status.Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if s.Ledger == nil || s.Sensor == "" {
		return nil, errors.New("status: it names no sensor, or has no ledger")
	}
	return &s, nil
}
