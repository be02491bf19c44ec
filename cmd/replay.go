package cmd

import (
	"slices"
	"strconv"
	"strings"

	"flowscope/config"
	"flowscope/ingest/filter"
	"flowscope/publish"
)

// replayCommand reads capture files and publishes what is in them.
type replayCommand struct {
	Files []string `arg:"" name:"FILE" help:"Capture files, pcap or pcapng, plain or packed with gzip; - is standard input. Several are one input."`

	To             string `placeholder:"WHERE" help:"embedded, stdout, discard, or the URL of a NATS server (several with commas). Default: embedded, or publish.servers of the configuration."`
	Format         string `placeholder:"FORMAT" help:"For standard output: json, msgpack or text. Default: text on a terminal, json otherwise."`
	Workers        string `placeholder:"N" help:"Goroutines that track flows and parse. Default: one for each processor."`
	Speed          string `default:"max" placeholder:"max|N" help:"1 is as recorded, 10 ten times faster. Default: max."`
	Sensor         string `placeholder:"NAME" help:"Name of the sensor in the events. Default: the host's."`
	Config         string `placeholder:"FILE" help:"Configuration file."`
	Only           string `placeholder:"PROTOCOLS" help:"Publish events of these protocols only, separated by commas; flow is one of them."`
	Filter         string `placeholder:"EXPRESSION" help:"Packets to take, in the pcap filter language: 'udp port 53'. Default: all, or capture.filter."`
	Events         string `placeholder:"all|messages" help:"messages leaves out started, closed, anomaly and tick. Default: all."`
	ConnectTimeout string `placeholder:"DURATION" help:"How long a server may take to be reached. Default: 10s."`
	DrainTimeout   string `placeholder:"DURATION" help:"How long the end waits for acknowledgements. Default: 30s."`
	Tail           bool   `help:"Also print what is published, as a consumer receives it."`
	Keep           string `placeholder:"DIR" help:"Keep the embedded store in this directory."`
	Serve          bool   `help:"Go on serving the embedded store after the last packet, until interrupted."`
	Report         string `default:"text" placeholder:"text|json" help:"The report at the end; json is one object on the last line of standard error."`

	CPUProfile string `name:"cpuprofile" hidden:"" placeholder:"FILE"`
	MemProfile string `name:"memprofile" hidden:"" placeholder:"FILE"`
}

// The values of --to that are no URLs.
const (
	toEmbedded = "embedded"
	toStdout   = "stdout"
	toDiscard  = "discard"
)

// defaultListen is where --serve listens if the configuration does not say.
const defaultListen = "127.0.0.1:4222"

// settled is the command line of a replay, checked.
type settled struct {
	*config.Config
	to     string // embedded, stdout, discard, or nats
	format publish.Format
	speed  float64 // 0 is as fast as possible
	files  []string
	tail   bool
	serve  bool
	json   bool           // the report
	live   bool           // the server may come later
	loaded *config.Config // of a live sensor, what holds now but for what was completed
	// expression is what packets must pass, nil for none.
	expression *filter.Expression
}

// settle checks the flags and reads the configuration.
func (c *replayCommand) settle(p *process) (*settled, error) {
	s := &settled{files: c.Files, tail: c.Tail, serve: c.Serve, json: c.Report == "json"}
	if !s.json && c.Report != "text" {
		return nil, usagef("--report %s: want text or json", c.Report)
	}
	err := c.checkTo()
	if err != nil {
		return nil, err
	}
	if s.speed, err = parseSpeed(c.Speed); err != nil {
		return nil, err
	}
	if s.format, err = outputFormat(c.Format, p); err != nil {
		return nil, err
	}
	s.Config, err = config.Load(config.Sources{
		Factories: p.factories, File: c.Config, Environ: p.environ, Flags: c.flags(),
		Check: func(cfg *config.Config) error {
			if to := c.destination(cfg); to == toStdout || to == toDiscard {
				return nil
			}
			return filesHere(cfg)
		},
	})
	if err != nil {
		return nil, err
	}
	if s.Capture.Filter != "" {
		if s.expression, err = filter.Parse(s.Capture.Filter); err != nil {
			return nil, usagef("%v", err)
		}
	}
	s.to = c.destination(s.Config)
	if err := c.together(s); err != nil {
		return nil, err
	}
	return s, s.complete()
}

// checkTo refuses what is neither a word of --to nor has the shape of URLs; which URLs
// are right is said by their key.
func (c *replayCommand) checkTo() error {
	const want = "want embedded, stdout, discard, or URLs of NATS servers, such as nats://127.0.0.1:4222"
	if slices.Contains([]string{"", toEmbedded, toStdout, toDiscard}, c.To) {
		return nil
	}
	for part := range strings.SplitSeq(c.To, ",") {
		switch {
		case strings.Contains(part, "://"):
		case strings.Contains(c.To, "@"): // which may follow a password
			return usagef("--to: %s", want)
		default:
			return usagef("--to %s: %s", c.To, want)
		}
	}
	return nil
}

// flags are the ones that stand for keys of the configuration.
func (c *replayCommand) flags() []config.Flag {
	var flags []config.Flag
	for _, f := range []config.Flag{
		{Name: "--workers", Key: "workers", Value: c.Workers},
		{Name: "--sensor", Key: "sensor.name", Value: c.Sensor},
		{Name: "--filter", Key: "capture.filter", Value: c.Filter},
		{Name: "--only", Key: "publish.only", Value: c.Only},
		{Name: "--events", Key: "publish.events", Value: c.Events},
		{Name: "--connect-timeout", Key: "publish.connect_timeout", Value: c.ConnectTimeout},
		{Name: "--drain-timeout", Key: "publish.drain_timeout", Value: c.DrainTimeout},
		{Name: "--keep", Key: "publish.embedded.store", Value: c.Keep},
	} {
		if f.Value != "" {
			flags = append(flags, f)
		}
	}
	switch c.To {
	case "", toStdout, toDiscard:
	case toEmbedded:
		flags = append(flags, config.Flag{Name: "--to", Key: "publish.servers"})
	default:
		flags = append(flags, config.Flag{Name: "--to", Key: "publish.servers", Value: c.To})
	}
	return flags
}

// toNATS is what settled.to says for servers that are not embedded.
const toNATS = "nats"

func (c *replayCommand) destination(cfg *config.Config) string {
	switch {
	case c.To == toStdout, c.To == toDiscard:
		return c.To
	case len(cfg.Publish.Servers) > 0:
		return toNATS
	default:
		return toEmbedded
	}
}

// together checks which flags go together.
func (c *replayCommand) together(s *settled) error {
	switch {
	case s.tail && (s.to == toStdout || s.to == toDiscard):
		return usagef("--tail needs a server to receive from: --to %s has none", s.to)
	case c.Keep != "" && s.to != toEmbedded:
		return usagef("--keep is for --to embedded, not for --to %s", s.to)
	case s.serve && s.to != toEmbedded:
		return usagef("--serve is for --to embedded, not for --to %s", s.to)
	case c.Format != "" && s.to != toStdout && !s.tail:
		return usagef("--format is for --to stdout or --tail")
	case slices.Contains(s.files, ""):
		return usagef("a FILE is empty: want the path of a capture file, or - for standard input")
	}
	return nil
}

// complete fills in what depends on the machine.
func (s *settled) complete() error {
	if s.serve && s.Publish.Embedded.Listen == "" {
		s.Publish.Embedded.Listen = defaultListen
	}
	if s.Workers == 0 {
		s.Workers = processors()
	}
	if s.Sensor.Name == "" {
		name, err := hostName()
		if err != nil {
			return err
		}
		s.Sensor.Name = name
	}
	return nil
}

func parseSpeed(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	speed, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(speed >= 1e-6 && speed <= 1e9) {
		return 0, usagef("--speed %s: want max, or a number such as 1 or 10", text)
	}
	return speed, nil
}

// outputFormat is the format that a flag names, or the usual one of standard
// output.
func outputFormat(flag string, p *process) (publish.Format, error) {
	switch flag {
	case "":
		if isTerminal(p.stdout) {
			return publish.Text, nil
		}
		return publish.JSON, nil
	case "ecs", "ocsf", "eve", "zeek":
		return "", notAvailable("--format " + flag)
	}
	f, err := publish.ParseFormat(flag)
	if err != nil {
		return "", usagef("--%v", err)
	}
	return f, nil
}
