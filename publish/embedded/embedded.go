// Package embedded runs a NATS server with a JetStream file store inside the
// process, so that events are stored without anything else being installed.
//
// In goes the directory of the store; out come connections to the server, by
// default only from inside the process. The server copies what it stores, so no
// bytes are shared with it. Start returns once the server is ready; the server's
// goroutines end before Close returns. All methods may be called from any
// goroutine.
//
// A directory belongs to one server at a time: a lock on a file in it keeps a
// second process out. The package creates no streams and reads no events: that
// is done over a connection, as with any other server. It alone imports
// nats-server.
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// readyTimeout is how long a server may take to begin; recovering a large store
// takes about 2 s for each million ids in its duplicate window.
const readyTimeout = 10 * time.Second

// DefaultSyncInterval is how often the store is synced to the disk when nothing
// else is said: a crash of the machine, not of the process, may lose that much.
const DefaultSyncInterval = 10 * time.Second

// Config says how the server is run.
type Config struct {
	// Store is the directory of the file store, created with mode 0700 if it is
	// missing. No default.
	Store string
	// Listen is the host:port that others may connect to; port 0 takes a free
	// one. Default "": no socket at all.
	Listen string
	// User and Password are the login that others need. Default "": none, which
	// only a loopback address is fit for.
	User, Password string
	// Domain is the JetStream domain. Default "": none; a leaf needs one.
	Domain string
	// Monitor is the host:port of the server's monitoring, HTTP without any
	// login. Default "": none.
	Monitor string
	// Leaf connects the server to a hub. Default nil: it stands alone.
	Leaf *Leaf
	// MaxStore bounds the store in bytes. Default 0: three quarters of what is
	// free on the disk.
	MaxStore int64
	// SyncInterval is how often the store is synced to the disk. Default 0:
	// DefaultSyncInterval.
	SyncInterval time.Duration
	// Log takes the server's warnings and errors; nil is silence.
	Log *slog.Logger
}

// ErrInUse says that another process works on the store.
var ErrInUse = errors.New("the store is in use by another flowscope")

// Server is a running server.
type Server struct {
	srv   *server.Server
	log   *logger
	lock  *os.File
	once  sync.Once
	close error

	user, password string
}

// Start starts a server and returns when it takes connections. Errors name the
// directory and what is wrong with it: not writable, ErrInUse, or whatever the
// server found when it recovered the store.
func Start(cfg Config) (*Server, error) {
	if cfg.Store == "" {
		return nil, errors.New("embedded server: no store directory given")
	}
	if err := os.MkdirAll(cfg.Store, 0o700); err != nil {
		return nil, fmt.Errorf("embedded server: create store: %w", err)
	}
	return start(cfg)
}

// Open starts a server on a store that an earlier one has left, to read it.
func Open(dir string) (*Server, error) {
	info, err := os.Stat(filepath.Join(dir, server.JetStreamStoreDir))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("embedded server: %s holds no store", dir)
	case err != nil:
		return nil, fmt.Errorf("embedded server: open store: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("embedded server: %s holds no store", dir)
	}
	return start(Config{Store: dir})
}

func start(cfg Config) (*Server, error) {
	opts, err := options(cfg)
	if err != nil {
		return nil, err
	}
	lock, err := lockStore(cfg.Store)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded server: %w", err), lock.Close())
	}
	s := &Server{srv: srv, log: newLogger(cfg.Log), lock: lock, user: cfg.User, password: cfg.Password}
	srv.SetLoggerV2(s.log, false, false, false)
	if err := s.start(cfg.Store); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(dir string) error {
	go s.srv.Start() // returns by itself once the server runs
	if s.srv.ReadyForConnections(readyTimeout) && s.srv.JetStreamEnabled() {
		return nil
	}
	if cause := s.log.first(); cause != "" {
		return fmt.Errorf("embedded server: store %s: %s", dir, cause)
	}
	return fmt.Errorf("embedded server: JetStream on %s is not ready within %v", dir, readyTimeout)
}

func options(cfg Config) (*server.Options, error) {
	opts := &server.Options{
		ServerName:             "flowscope-embedded",
		DontListen:             cfg.Listen == "",
		NoSigs:                 true,
		NoLog:                  true,
		NoSystemAccount:        false,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               cfg.Store,
		SyncInterval:           cfg.SyncInterval,
		JetStreamMaxStore:      cfg.MaxStore,
		JetStreamDomain:        cfg.Domain,
		Username:               cfg.User,
		Password:               cfg.Password,
		// Set together with the store, or the server ignores both. Only memory
		// streams count against it.
		JetStreamMaxMemory: 256 << 20,
	}
	if opts.SyncInterval == 0 {
		opts.SyncInterval = DefaultSyncInterval
	}
	if cfg.MaxStore < 0 {
		return nil, fmt.Errorf("embedded server: max_store %d: want 0 or more", cfg.MaxStore)
	}
	if cfg.Domain != "" {
		// Names of servers are unique in what leaf connections join.
		opts.ServerName += "-" + cfg.Domain
	}
	var err error
	if !opts.DontListen {
		if opts.Host, opts.Port, err = hostPort("listen", cfg.Listen); err != nil {
			return nil, err
		}
	}
	if cfg.Monitor != "" {
		if opts.HTTPHost, opts.HTTPPort, err = hostPort("monitor", cfg.Monitor); err != nil {
			return nil, err
		}
	}
	if cfg.Leaf != nil {
		if cfg.Domain == "" {
			return nil, errors.New("embedded server: leaf: a domain of its own is missing")
		}
		remote, err := cfg.Leaf.remote()
		if err != nil {
			return nil, fmt.Errorf("embedded server: leaf: %w", err)
		}
		opts.LeafNode.Remotes = []*server.RemoteLeafOpts{remote}
		opts.LeafNode.ReconnectInterval = time.Second
	}
	return opts, nil
}

func hostPort(key, value string) (string, int, error) {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return "", 0, fmt.Errorf("embedded server: %s: %w", key, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("embedded server: %s %q: want a port from 0 to %d", key, value, math.MaxUint16)
	}
	if n == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

// Connect returns a connection to the server that does not leave the process.
// The caller closes it before the server.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	if s.user != "" {
		opts = append(opts, nats.UserInfo(s.user, s.password))
	}
	nc, err := nats.Connect("", append(opts, nats.InProcessServer(s.srv))...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded server: %w", err)
	}
	return nc, nil
}

// URL returns where others reach the server, "" without Config.Listen.
func (s *Server) URL() string {
	if addr := s.srv.Addr(); addr != nil {
		return "nats://" + addr.String()
	}
	return ""
}

// Trouble returns the first error that the server has reported, nil if there was
// none: a server that cannot write, because the disk is full, leaves publishers
// without any answer.
func (s *Server) Trouble() error {
	if cause := s.log.first(); cause != "" {
		return fmt.Errorf("embedded server: %s", cause)
	}
	return nil
}

// Close stops the server, waits until the store is written, and gives the
// directory free. It is safe to call twice.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
		s.close = s.lock.Close()
	})
	return s.close
}
