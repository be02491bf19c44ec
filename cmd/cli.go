package cmd

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Replay  replayCommand  `cmd:"" help:"Read capture files, publish what is in them, report."`
	Run     runCommand     `cmd:"" help:"Capture on network interfaces, publish what is in there, until stopped."`
	Sub     subCommand     `cmd:"" help:"Print events from a stream."`
	Parsers parsersCommand `cmd:"" help:"List the protocols that are built in."`
	Config  configCommand  `cmd:"" help:"Check, show or write a configuration."`
	Version versionCommand `cmd:"" help:"Say which version this is."`
	Top     topCommand     `cmd:"" help:"Show a sensor or a fleet on the terminal."`
}

// dispatch parses the command line and runs the command.
func (p *process) dispatch() error {
	var c cli
	helped := false
	args := joinNegative(p.args)
	switch {
	case len(args) == 0:
		return usagef("no command: want one of %s\nflowscope --help says what there is", strings.Join(commands(&c), ", "))
	case args[0] == "--version":
		args[0] = "version"
	case args[0] == "help":
		args = append(args[1:], "--help")
	}
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
	parsed, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return &usageError{hint(err)}
	}
	return alone(parsed.Run(p))
}

// joinNegative writes a negative number that stands behind a flag into the flag, or it
// would be taken for a flag itself: what is wrong with it is for the flag to say.
func joinNegative(args []string) []string {
	var joined []string
	for i, a := range args {
		if i > 0 && negative.MatchString(a) && longFlag.MatchString(args[i-1]) {
			joined[len(joined)-1] += "=" + a
			continue
		}
		joined = append(joined, a)
	}
	return joined
}

var (
	negative = regexp.MustCompile(`^-[.0-9]`)
	longFlag = regexp.MustCompile(`^--[a-z][-a-z]*$`)
)

// commands are the names of the commands.
func commands(c *cli) (names []string) {
	for f := range reflect.TypeOf(c).Elem().Fields() {
		names = append(names, strings.ToLower(f.Name))
	}
	return names
}

// alone takes an error out of a list of one: kong joins what a command returns
// with what its hooks return.
func alone(err error) error {
	if list, ok := err.(interface{ Unwrap() []error }); ok && len(list.Unwrap()) == 1 {
		return list.Unwrap()[0]
	}
	return err
}

// hint says where help is to be found.
func hint(err error) string {
	command := "flowscope"
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil && wrong.Context.Selected() != nil {
		command = wrong.Context.Selected().FullPath()
	}
	return fmt.Sprintf("%v\n%s --help says what there is", err, command)
}
