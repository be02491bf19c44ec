package cmd

import (
	"log/slog"
	"time"

	"flowscope/cmd/internal/top"
	"flowscope/config"
	"flowscope/publish"
)

// topCommand shows sensors on the terminal.
type topCommand struct {
	Server         string        `placeholder:"URL" help:"Show every sensor of this NATS system, servers separated by commas. Default: the sensor on this machine, at monitor.listen."`
	Interval       time.Duration `default:"1s" help:"How often the sensors are asked."`
	Config         string        `placeholder:"FILE" help:"Configuration file, for the login and monitor.listen."`
	ConnectTimeout string        `placeholder:"DURATION" help:"How long a server may take to be reached. Default: 10s."`
}

// gathering is how long a fleet's answers are awaited, at most half an interval.
const gathering = 500 * time.Millisecond

// Run shows until q is pressed.
func (c *topCommand) Run(p *process) error {
	if c.Interval < 100*time.Millisecond {
		return usagef("--interval %v: want at least 100ms", c.Interval)
	}
	if !isTerminal(p.stdout) {
		return usagef("flowscope top draws on a terminal, and standard output is none: flowscope sub prints 'flowscope.sensor.*'")
	}
	source, done, err := c.source(p)
	if err != nil {
		return err
	}
	defer done()
	return top.Run(p.soft, source, c.Interval, p.stdin, p.stdout, p.environ)
}

// source is the local sensor, or the fleet behind a server.
func (c *topCommand) source(p *process) (top.Source, func(), error) {
	var flags []config.Flag
	if c.Server != "" {
		flags = append(flags, config.Flag{Name: "--server", Key: "publish.servers", Value: c.Server})
	}
	if c.ConnectTimeout != "" {
		flags = append(flags, config.Flag{Name: "--connect-timeout", Key: "publish.connect_timeout", Value: c.ConnectTimeout})
	}
	cfg, err := config.Load(config.Sources{Factories: p.factories, File: c.Config, Environ: p.environ, Flags: flags})
	if err != nil {
		return nil, nil, err
	}
	if c.Server == "" {
		if cfg.Monitor.Listen == "" {
			return nil, nil, usagef("monitor.listen is empty: give --server URL")
		}
		return top.NewHTTP(cfg.Monitor.Listen, c.Interval), func() {}, nil
	}
	nc, err := publish.Connect(p.soft, cfg.Publish, "top", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	return &top.Fleet{Conn: nc, Wait: min(gathering, c.Interval/2)}, nc.Close, nil
}
