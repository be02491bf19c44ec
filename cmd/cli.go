package cmd

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Replay  replayCommand  `cmd:"" help:"Read capture files, publish what is in them, report."`
	Sub     subCommand     `cmd:"" help:"Print events from a stream."`
	Parsers parsersCommand `cmd:"" help:"List the protocols that are built in."`
	Config  configCommand  `cmd:"" help:"Check, show or write a configuration."`
	Version versionCommand `cmd:"" help:"Say which version this is."`
	Top     topCommand     `cmd:"" help:"Show a sensor or a fleet on the terminal."`
	Run     laterCommand   `cmd:"" hidden:"" passthrough:""`
}

// laterCommand is a command that this version does not have.
type laterCommand struct {
	Args []string `arg:"" optional:""`
}

// dispatch parses the command line and runs the command.
func (p *process) dispatch() error {
	var c cli
	helped := false
	parser, err := kong.New(
		&c,
		kong.Name("flowscope"),
		kong.Description("A passive network sensor: reads packets, follows flows, publishes typed events on NATS."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	parsed, err := parser.Parse(p.args)
	if helped {
		return nil
	}
	if err != nil {
		return &usageError{hint(err)}
	}
	switch name := parsed.Selected().Name; name {
	case "run":
		return notAvailable("flowscope " + name)
	}
	return parsed.Run(p)
}

// hint says where help is to be found.
func hint(err error) string {
	command := "flowscope"
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil && wrong.Context.Selected() != nil {
		command += " " + wrong.Context.Selected().Name
	}
	return fmt.Sprintf("%v\n%s --help says what there is", err, command)
}
