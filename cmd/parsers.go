package cmd

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"text/tabwriter"

	"flowscope/publish"
	"flowscope/session"
)

// parsersCommand lists the protocols that are built in.
type parsersCommand struct{}

// Run prints one line for each protocol.
func (*parsersCommand) Run(p *process) error {
	if _, err := session.NewRegistry(p.factories...); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PROTOCOL\tTITLE\tTRANSPORTS\tPORTS\tBUFFER\tMESSAGES")
	for _, f := range p.factories {
		d := f.Protocol()
		settings, buffer := d.Settings(), "-"
		if _, ok := f.(session.SessionParserFactory); ok {
			buffer = fmt.Sprint(settings.Buffer)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n",
			d.Name, d.Title, commas(d.Transports), commas(settings.Ports), buffer, strings.Join(d.Kinds(), ", "))
	}
	return outputError(w.Flush())
}

func commas[T any](list []T) string {
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = fmt.Sprint(item)
	}
	return strings.Join(items, ", ")
}

// outputError tells a reader that has gone from other trouble with standard
// output.
func outputError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return publish.ErrClosedPipe
	default:
		return fmt.Errorf("write to standard output: %w", err)
	}
}
