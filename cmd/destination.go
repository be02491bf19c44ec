package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish"
	"flowscope/publish/embedded"
)

// destination is where the events of a replay go.
type destination struct {
	transport publish.Transport // the publisher's, once that exists
	server    *embedded.Server  // nil unless it is the embedded one
	folder    string            // its store
	temporary string            // a store to remove at the end
	peers     *peers            // of the connections to servers
	// connect makes one more connection to the same server, nil if there is
	// none. The log says which it is.
	connect func(ctx context.Context, which string) (*nats.Conn, error)
}

// The connections to one server, and the key under which the log names them.
const (
	connectionKey       = "connection"
	publisherConnection = "publisher"
	serviceConnection   = "service"
	tailConnection      = "tail"
)

// openDestination reaches the server or opens the output.
func openDestination(ctx context.Context, s *settled, p *process, log *slog.Logger) (*destination, error) {
	d := &destination{peers: newPeers()}
	var err error
	switch s.to {
	case toDiscard:
		d.transport = publish.NewDiscard()
		return d, nil
	case toStdout:
		d.transport, err = publish.NewWriter(p.stdout, s.format)
		return d, err
	case toEmbedded:
		err = d.startServer(s, log)
	default:
		d.connect = func(ctx context.Context, which string) (*nats.Conn, error) {
			return publish.Connect(ctx, s.Publish, s.Sensor.Name, log.With(connectionKey, which), d.peers.moved)
		}
	}
	switch {
	case err != nil:
	case s.live && d.server == nil:
		d.transport, err = publish.DialJetStream(s.Publish, s.Sensor.Name, log.With(connectionKey, publisherConnection), d.peers.moved)
	default:
		err = d.connectTransport(ctx, s)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *destination) startServer(s *settled, log *slog.Logger) error {
	cfg, err := embeddedConfig(&s.Publish, log)
	if err != nil {
		return err
	}
	store := s.Publish.Embedded.Store
	if s.live && s.Security.User != "" {
		if err := handOver(store, s.Security.User); err != nil {
			return err
		}
	}
	if store == "" {
		if store, err = os.MkdirTemp("", "flowscope-"); err != nil {
			return fmt.Errorf("make a directory for the store: %w: publish.embedded.store names another", err)
		}
		d.temporary = store
	}
	cfg.Store, d.folder = store, store
	d.server, err = embedded.Start(cfg)
	d.connect = func(_ context.Context, which string) (*nats.Conn, error) {
		return d.server.Connect(publish.ConnectionOptions(s.Sensor.Name, log.With(connectionKey, which))...)
	}
	return err
}

// embeddedConfig reads the files that the configuration of the server names.
func embeddedConfig(p *publish.Config, log *slog.Logger) (cfg embedded.Config, err error) {
	e := &p.Embedded
	cfg = embedded.Config{
		Listen: e.Listen, MaxStore: e.MaxStore, SyncInterval: e.SyncInterval,
		Domain: p.Stream.Domain, Monitor: e.Monitor, Log: log,
	}
	if e.UserFile != "" {
		if cfg.User, cfg.Password, err = publish.ReadLogin(e.UserFile); err != nil {
			return cfg, fmt.Errorf("embedded server: %w", err)
		}
	}
	if len(e.Leaf.Servers) == 0 {
		return cfg, nil
	}
	if err := p.CheckFiles(); err != nil {
		return cfg, fmt.Errorf("embedded server: publish.%w", err)
	}
	a := e.Leaf.Auth()
	cfg.Leaf = &embedded.Leaf{
		URLs: e.Leaf.Servers, Subjects: []string{publish.StreamSubject(p.Prefix)},
		Credentials: a.Credentials, CA: a.CA, Certificate: a.Certificate, Key: a.Key, TLSFirst: a.TLSFirst,
	}
	if a.UserFile != "" {
		if cfg.Leaf.User, cfg.Leaf.Password, err = publish.ReadLogin(a.UserFile); err != nil {
			return cfg, fmt.Errorf("embedded server: leaf: %w", err)
		}
	}
	return cfg, nil
}

// connectTransport connects and looks after the stream.
func (d *destination) connectTransport(ctx context.Context, s *settled) error {
	deadline := time.Now().Add(s.Publish.ConnectTimeout)
	nc, err := d.connect(ctx, publisherConnection)
	if err != nil {
		return err
	}
	// A server that answers just in time still gets a moment for the stream.
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(time.Second))
	defer cancel()
	d.transport, err = publish.NewJetStream(ctx, nc, s.Publish)
	return err
}

// store is the folder that the embedded server writes, "" if there is none.
func (d *destination) store() string {
	if d.server == nil {
		return ""
	}
	return d.folder
}

// trouble is what the embedded server has to say when it does not answer.
func (d *destination) trouble() func() error {
	if d.server == nil {
		return nil
	}
	return d.server.Trouble
}

// close stops the embedded server, after the publisher has closed its transport.
func (d *destination) close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	if d.temporary != "" {
		errs = append(errs, removeFolder(d.temporary))
	}
	return errors.Join(errs...)
}

// removeFolder removes a folder with all that is in it. Other than os.RemoveAll it
// does not read the folder that it is in, which a confined process may not.
func removeFolder(path string) error {
	entries, err := os.ReadDir(path)
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(path, e.Name())))
	}
	return errors.Join(append(errs, os.Remove(path))...)
}
