package publish

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is what users write under publish.
type Config struct {
	// Prefix begins every subject: one or more tokens of a-z, 0-9 and _, and
	// {sensor} for the sensor's name, not in the first token if there is a stream.
	// Default flowscope.
	Prefix string `yaml:"prefix"`
	// Servers are NATS URLs. Default none: the embedded server.
	Servers []string `yaml:"servers"`
	// Auth is how to log in at Servers. Default: without.
	Auth Auth `yaml:"auth"`
	// Embedded is the in-process server, used when there are no Servers.
	Embedded Embedded `yaml:"embedded"`
	// Stream is the JetStream stream that stores the events.
	Stream Stream `yaml:"stream"`
	// Mode is how events go to the server: "jetstream", each acknowledged on its
	// own; "fast", JetStream's fast ingest, acknowledged together; or "core",
	// core NATS, not acknowledged at all. Default jetstream.
	Mode string `yaml:"mode"`
	// Core are protocols whose events go by core NATS whatever Mode says, "flow"
	// among them. Default none.
	Core []string `yaml:"core"`
	// BatchBytes is the size up to which events of one subject are put into one
	// message, in bytes. Default 0: one message for each event.
	BatchBytes int `yaml:"batch_bytes"`
	// QueueBytes bounds the memory of events that wait for the publisher, in
	// bytes. Default 67108864.
	QueueBytes int `yaml:"queue_bytes"`
	// InFlight bounds what was sent and is not acknowledged.
	InFlight InFlight `yaml:"in_flight"`
	// Events is "all", or "messages" to leave out started, closed, anomaly and
	// tick. Default all.
	Events string `yaml:"events"`
	// Only keeps the events of these protocols, "flow" among them. Default
	// none: all protocols.
	Only []string `yaml:"only"`
	// ConnectTimeout is how long a server may take to be reached. Default 10s.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// DrainTimeout is how long the end waits for acknowledgements. Default 30s.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// AckTimeout is how long one event waits for its acknowledgement before it
	// is sent again, at first: each time twice as long, up to eight times.
	// Default 5s.
	AckTimeout time.Duration `yaml:"ack_timeout"`
	// StallTimeout is how long a replay goes on while nothing at all is
	// acknowledged; live capture goes on for ever. Default 30s; 0 means for
	// ever.
	StallTimeout time.Duration `yaml:"stall_timeout"`
	// Heartbeat is how often live capture tells of itself: sensor.heartbeat and
	// sensor.ledger. Default 10s; 0 is never.
	Heartbeat time.Duration `yaml:"heartbeat"`
}

// Stream says which stream is wanted.
type Stream struct {
	// Name is the stream's name. Default FLOWSCOPE.
	Name string `yaml:"name"`
	// Domain is the JetStream domain of the stream; an acknowledgement of another
	// domain does not count. Default "": that of the server, whichever it is.
	Domain string `yaml:"domain"`
	// Mode is "verify": the stream must exist and cover the subjects; "create":
	// it is created if it is missing; "off": whatever acknowledges will do. An
	// existing stream is never changed. Default create with the embedded
	// server, verify otherwise.
	Mode string `yaml:"mode"`
	// Storage is "file" or "memory", for create. Default file.
	Storage string `yaml:"storage"`
	// Replicas is the number of copies in a cluster, for create. Default 1.
	Replicas int `yaml:"replicas"`
	// MaxBytes bounds the stream in bytes, for create; the oldest events make
	// room. Default 0: no bound.
	MaxBytes int64 `yaml:"max_bytes"`
	// MaxAge is how long events are kept, for create. Default 0: for ever.
	MaxAge time.Duration `yaml:"max_age"`
	// DuplicateWindow is how long the server remembers ids, for create; about
	// 150 bytes of its memory per event. Default 30s with the embedded server,
	// 2m otherwise.
	DuplicateWindow time.Duration `yaml:"duplicate_window"`
}

// InFlight bounds the window of unacknowledged events.
type InFlight struct {
	// Messages is the largest number of messages. Default 4096.
	Messages int `yaml:"messages"`
	// Bytes is the largest number of payload bytes. Default 67108864.
	Bytes int `yaml:"bytes"`
}

// Embedded is the in-process server.
type Embedded struct {
	// Store is the directory of the file store. Default "": a temporary one.
	Store string `yaml:"store"`
	// Listen is the host:port that others reach the server at. Default "": it
	// is reached from inside the process only.
	Listen string `yaml:"listen"`
	// UserFile is a file of one line, user:password, the login of those others.
	// Default "": none, which is allowed at a loopback address only.
	UserFile string `yaml:"user_file"`
	// Monitor is the host:port of the server's monitoring, HTTP without any
	// login. Default "": none.
	Monitor string `yaml:"monitor"`
	// MaxStore bounds the store in bytes. Default 0: the server takes three
	// quarters of what is free on the disk.
	MaxStore int64 `yaml:"max_store"`
	// SyncInterval is how often the store is synced to the disk. Default 10s.
	SyncInterval time.Duration `yaml:"sync_interval"`
	// Leaf joins the server to a hub.
	Leaf Leaf `yaml:"leaf"`
}

// Leaf joins the embedded server to a central cluster as a leaf node. Events do
// not cross the connection; a stream of the hub reads them from the stream here.
type Leaf struct {
	// Servers are URLs of the hub's leaf node listeners. Default none: no hub.
	Servers []string `yaml:"servers"`
	// Credentials, UserFile, CA, Certificate, Key and TLSFirst are as in Auth.
	Credentials string `yaml:"credentials"`
	UserFile    string `yaml:"user_file"`
	CA          string `yaml:"ca"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	TLSFirst    bool   `yaml:"tls_first"`
}

// Auth returns the leaf's login.
func (l Leaf) Auth() Auth {
	return Auth{
		Credentials: l.Credentials, UserFile: l.UserFile, CA: l.CA,
		Certificate: l.Certificate, Key: l.Key, TLSFirst: l.TLSFirst,
	}
}

// The stream modes.
const (
	StreamVerify = "verify"
	StreamCreate = "create"
	StreamOff    = "off"
)

// The values of Config.Mode.
const (
	ModeJetStream = "jetstream"
	ModeFast      = "fast"
	ModeCore      = "core"
)

// The values of Config.Events.
const (
	EventsAll      = "all"
	EventsMessages = "messages"
)

// DefaultConfig returns the defaults; Stream.Mode and Stream.DuplicateWindow
// are left open, see Resolved.
func DefaultConfig() Config {
	return Config{
		Prefix:         "flowscope",
		Embedded:       Embedded{SyncInterval: 10 * time.Second},
		Stream:         Stream{Name: "FLOWSCOPE", Storage: "file", Replicas: 1},
		Mode:           ModeJetStream,
		QueueBytes:     64 << 20,
		InFlight:       InFlight{Messages: 4096, Bytes: 64 << 20},
		Events:         EventsAll,
		ConnectTimeout: 10 * time.Second,
		DrainTimeout:   30 * time.Second,
		AckTimeout:     5 * time.Second,
		StallTimeout:   30 * time.Second,
		Heartbeat:      10 * time.Second,
	}
}

// Resolved returns the configuration with the values filled in that depend on
// whether the server is the embedded one.
func (c Config) Resolved() Config {
	embedded := len(c.Servers) == 0
	if c.Stream.Mode == "" {
		c.Stream.Mode = StreamVerify
		if embedded {
			c.Stream.Mode = StreamCreate
		}
	}
	if c.Stream.DuplicateWindow == 0 {
		c.Stream.DuplicateWindow = 2 * time.Minute
		if embedded {
			c.Stream.DuplicateWindow = 30 * time.Second
		}
	}
	return c
}

var (
	prefixToken = regexp.MustCompile(`^([a-z0-9_]|\{sensor\})+$`)
	streamName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
)

// Validate returns everything that is wrong, each with its key.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for token := range strings.SplitSeq(c.Prefix, ".") {
		bad(!prefixToken.MatchString(token), "prefix: token %q of %q: want a-z, 0-9, _ or {sensor}", token, c.Prefix)
	}
	first, _, _ := strings.Cut(c.Prefix, ".")
	bad(strings.Contains(first, SensorPlaceholder) && c.Mode != ModeCore && c.Stream.Mode != StreamOff,
		"prefix: %q: no stream may take every first token: want a fixed one, such as acme.{sensor}", c.Prefix)
	for _, s := range c.Servers {
		errs = append(errs, checkURL(s))
	}
	bad(c.Events != EventsAll && c.Events != EventsMessages, "events: %q: want all or messages", c.Events)
	bad(!slices.Contains([]string{ModeJetStream, ModeFast, ModeCore}, c.Mode), "mode: %q: want jetstream, fast or core", c.Mode)
	bad(c.BatchBytes != 0 && (c.BatchBytes < 1<<10 || c.BatchBytes > 1<<20), "batch_bytes: %d: want 1024 to 1048576, or 0 for one event per message", c.BatchBytes)
	bad(c.Heartbeat < 0, "heartbeat: %v: want 0 or more", c.Heartbeat)
	bad(c.QueueBytes < 1<<20, "queue_bytes: %d: want at least 1048576", c.QueueBytes)
	bad(c.InFlight.Messages < 1 || c.InFlight.Messages > 1<<20, "in_flight.messages: %d: want 1 to 1048576", c.InFlight.Messages)
	bad(c.InFlight.Bytes < 1<<16 || c.InFlight.Bytes > 1<<30, "in_flight.bytes: %d: want 65536 to 1073741824", c.InFlight.Bytes)
	bad(c.ConnectTimeout <= 0, "connect_timeout: %v: want more than 0", c.ConnectTimeout)
	bad(c.DrainTimeout <= 0, "drain_timeout: %v: want more than 0", c.DrainTimeout)
	bad(c.AckTimeout <= 0, "ack_timeout: %v: want more than 0", c.AckTimeout)
	bad(c.StallTimeout < 0, "stall_timeout: %v: want 0 or more", c.StallTimeout)
	bad(c.Embedded.MaxStore < 0, "embedded.max_store: %d: want 0 or more", c.Embedded.MaxStore)
	bad(c.Embedded.SyncInterval <= 0, "embedded.sync_interval: %v: want more than 0", c.Embedded.SyncInterval)
	errs = append(errs, c.Stream.validate(), c.Auth.Validate(), c.Embedded.validate())
	bad(len(c.Embedded.Leaf.Servers) > 0 && c.Stream.Domain == "",
		"embedded.leaf.servers: want a stream.domain with them: each sensor's server has a JetStream domain of its own")
	return errors.Join(errs...)
}

func (e Embedded) validate() error {
	for _, s := range e.Leaf.Servers {
		if err := checkURL(s); err != nil {
			return fmt.Errorf("embedded.leaf.%w", err)
		}
	}
	if err := e.Leaf.Auth().Validate(); err != nil {
		return fmt.Errorf("embedded.leaf: %s", strings.TrimPrefix(err.Error(), "auth: "))
	}
	if e.Listen != "" && e.UserFile == "" && !loopback(e.Listen) {
		return fmt.Errorf("embedded.listen: %q: others reach it: want a login for them in embedded.user_file, or a loopback address such as 127.0.0.1:4222", e.Listen)
	}
	return nil
}

// loopback says whether nobody but this host reaches an address; what is no
// address is left to the server.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (s Stream) validate() error {
	switch {
	case !streamName.MatchString(s.Name):
		return fmt.Errorf("stream.name: %q: want letters, digits, _ and -", s.Name)
	case s.Domain != "" && !streamName.MatchString(s.Domain):
		return fmt.Errorf("stream.domain: %q: want letters, digits, _ and -", s.Domain)
	case !slices.Contains([]string{"", StreamVerify, StreamCreate, StreamOff}, s.Mode):
		return fmt.Errorf("stream.mode: %q: want verify, create or off", s.Mode)
	case s.Storage != "file" && s.Storage != "memory":
		return fmt.Errorf("stream.storage: %q: want file or memory", s.Storage)
	case s.Replicas < 1 || s.Replicas > 5:
		return fmt.Errorf("stream.replicas: %d: want 1 to 5", s.Replicas)
	case s.MaxBytes < 0:
		return fmt.Errorf("stream.max_bytes: %d: want 0 or more", s.MaxBytes)
	case s.MaxAge < 0:
		return fmt.Errorf("stream.max_age: %v: want 0 or more", s.MaxAge)
	case s.DuplicateWindow < 0:
		return fmt.Errorf("stream.duplicate_window: %v: want 0 or more", s.DuplicateWindow)
	case s.MaxAge > 0 && s.DuplicateWindow > s.MaxAge:
		return fmt.Errorf("stream.duplicate_window: %v: want at most stream.max_age, %v", s.DuplicateWindow, s.MaxAge)
	}
	return nil
}

const wantURL = "want nats://host:port, tls://, ws:// or wss://"

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The parser's error quotes the URL, which may hold a password.
		if strings.Contains(s, "@") {
			return errors.New("servers: not a URL: " + wantURL)
		}
		return fmt.Errorf("servers: %q: %s", s, wantURL)
	case u.User != nil:
		return fmt.Errorf("servers: %s: put the login under auth, not into the URL", u.Redacted())
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Host == "":
		return fmt.Errorf("servers: %q: %s", s, wantURL)
	}
	return nil
}
