package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/cmd/internal/printer"
	"flowscope/config"
	"flowscope/publish"
	"flowscope/publish/embedded"
)

// subCommand prints events from a stream.
type subCommand struct {
	Subjects []string `arg:"" optional:"" name:"SUBJECT" help:"Subjects, with the wildcards * and >. Default: everything below publish.prefix."`

	Server         string `placeholder:"URL" help:"NATS servers, separated by commas. Default: publish.servers of the configuration, else nats://127.0.0.1:4222."`
	Store          string `placeholder:"DIR" help:"Read the store that replay --keep DIR has left, to its end."`
	Format         string `placeholder:"FORMAT" help:"text, json or msgpack. Default: text on a terminal, json otherwise."`
	From           string `placeholder:"start|new|TIME" help:"Where to begin: TIME is RFC 3339, when an event was stored. Default: start with --store or --audit, else new."`
	Durable        string `placeholder:"NAME" help:"A consumer that remembers what it has printed, and goes on there."`
	Count          int    `placeholder:"N" help:"End after N events. Default: 0, which is no end."`
	Config         string `placeholder:"FILE" help:"Configuration file, for the servers, the login and the prefix."`
	ConnectTimeout string `placeholder:"DURATION" help:"How long a server may take to be reached. Default: 10s."`
	Audit          bool   `help:"Print no events: say which numbers and ids are missing or doubled in what is stored now."`
}

// defaultServer is where sub connects if nothing else is said.
const defaultServer = "nats://127.0.0.1:4222"

// Run prints until the end: of the store, of the count, or an interrupt.
func (c *subCommand) Run(p *process) error {
	cfg, want, format, err := c.settle(p)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	nc, closeServer, err := c.connect(p, cfg, log)
	if err != nil {
		if p.soft.Err() != nil {
			return errInterrupted
		}
		return err
	}
	if c.Audit {
		err = c.audit(p, nc, cfg, want, format)
	} else {
		err = c.print(p, nc, want, format)
	}
	nc.Close()
	return join([]error{err, closeServer()})
}

// settle checks the flags and reads the configuration.
func (c *subCommand) settle(p *process) (cfg publish.Config, want publish.SubscribeConfig, format publish.Format, err error) {
	switch {
	case c.Audit && c.Durable != "":
		err = usagef("--audit and --durable: want one of them")
	case c.Audit && c.From == "new":
		err = usagef("--audit --from new: nothing is stored from now on")
	case c.Audit && c.Format == string(publish.Msgpack):
		err = usagef("--audit: want --format text or json")
	case c.Audit && c.Count != 0:
		err = usagef("--audit and --count: an audit reads all that is stored; want one of them")
	case c.Server != "" && c.Store != "":
		err = usagef("--server and --store: want one of them")
	case c.Count < 0:
		err = usagef("--count %d: want 1 or more, or 0 for no end", c.Count)
	}
	if err != nil {
		return
	}
	if format, err = outputFormat(c.Format, p); err != nil {
		return
	}
	all, err := config.Load(config.Sources{
		Factories: p.factories, File: c.Config, Environ: p.environ, Flags: c.flags(),
	})
	if err != nil {
		return
	}
	cfg = all.Publish
	if len(cfg.Servers) == 0 {
		cfg.Servers = []string{defaultServer}
	}
	want = publish.SubscribeConfig{
		Subjects: c.Subjects, Durable: c.Durable, Count: c.Count, UntilCaughtUp: c.Store != "",
	}
	if len(want.Subjects) == 0 {
		want.Subjects = []string{publish.StreamSubject(cfg.Prefix)}
	}
	err = c.begin(&want)
	return
}

func (c *subCommand) flags() []config.Flag {
	var flags []config.Flag
	if c.Server != "" {
		flags = append(flags, config.Flag{Name: "--server", Key: "publish.servers", Value: c.Server})
	}
	if c.ConnectTimeout != "" {
		flags = append(flags, config.Flag{Name: "--connect-timeout", Key: "publish.connect_timeout", Value: c.ConnectTimeout})
	}
	return flags
}

// begin reads --from.
func (c *subCommand) begin(want *publish.SubscribeConfig) error {
	from := c.From
	if from == "" {
		if from = "new"; c.Store != "" || c.Audit {
			from = "start"
		}
	}
	switch from {
	case "start":
		want.From = publish.FromStart
	case "new":
		if c.Store != "" {
			return usagef("--from new: nothing new comes into a store that nobody writes")
		}
		want.From = publish.FromNew
	default:
		t, err := time.Parse(time.RFC3339Nano, from)
		if err != nil {
			return usagef("--from %s: want start, new, or a time such as 2026-01-31T12:00:00Z", from)
		}
		want.From, want.Time = publish.FromTime, t
	}
	return nil
}

// connect reaches the server, or starts one on the store.
func (c *subCommand) connect(p *process, cfg publish.Config, log *slog.Logger) (*nats.Conn, func() error, error) {
	if c.Store == "" {
		nc, err := publish.Connect(p.soft, cfg, "sub", log)
		return nc, func() error { return nil }, err
	}
	server, err := embedded.Open(c.Store)
	if errors.Is(err, embedded.ErrInUse) {
		err = fmt.Errorf("%w: read it with sub --server nats://HOST:PORT, the publish.embedded.listen of that one", err)
	}
	if err != nil {
		return nil, nil, err
	}
	nc, err := server.Connect(nats.Name("flowscope/sub"))
	if err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	return nc, server.Close, nil
}

// headOf cuts a payload behind its first events, as many as are left; a durable
// consumer prints all, because what it does not print now it never would.
func headOf(payload []byte, left *int) []byte {
	n := 0
	for one, err := range publish.Payloads(payload) {
		if err != nil {
			return payload
		}
		n += len(one)
		if *left--; *left == 0 {
			return payload[:n]
		}
	}
	return payload
}

// print writes events until there are no more. A message that is no event is
// named and does not stop the others.
func (c *subCommand) print(p *process, nc *nats.Conn, want publish.SubscribeConfig, format publish.Format) error {
	ctx, cancel := context.WithCancel(p.soft)
	defer cancel()
	out := printer.New(p.stdout, format)
	bad, left := 0, want.Count
	var err error
	for d, failed := range publish.Subscribe(ctx, nc, want) {
		if err = failed; err != nil {
			break
		}
		var noEvent *printer.PayloadError
		payload := d.Payload
		if want.Count > 0 && want.Durable == "" {
			payload = headOf(payload, &left)
		}
		err = out.Print(payload)
		if errors.As(err, &noEvent) {
			bad++
			complain(p.stderr, fmt.Errorf("%s, message %d: %w", d.Subject, d.Sequence, noEvent))
			err = nil
		}
		if err == nil && want.Durable != "" {
			err = out.Flush() // before the message is acknowledged
		}
		if err != nil {
			break
		}
	}
	errs := []error{err, out.Close()}
	if bad > 0 {
		errs = append(errs, fmt.Errorf("%d messages are no events", bad))
	}
	if p.soft.Err() != nil {
		errs = append(errs, errInterrupted)
	}
	return join(errs)
}
