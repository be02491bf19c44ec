package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"flowscope/config"
)

// configCommand looks after configuration files.
type configCommand struct {
	Check   configCheck   `cmd:"" help:"Say whether a configuration file is right."`
	Show    configShow    `cmd:"" help:"Print what holds with a configuration file and the environment, without secrets."`
	Default configDefault `cmd:"" help:"Write all defaults, with comments."`
}

type configCheck struct {
	File string `arg:"" name:"FILE" help:"Configuration file."`
}

// Run loads the file. The configuration may be for another machine: what is wrong on
// this one only is told and no failure.
func (c *configCheck) Run(p *process) error {
	sources := config.Sources{Factories: p.factories, File: c.File, Environ: p.environ}
	if _, err := config.Load(sources); err != nil {
		return err
	}
	sources.Check = sensorHere
	if _, err := config.Load(sources); err != nil {
		for line := range strings.Lines(err.Error()) {
			complain(p.stderr, fmt.Errorf("on this machine: %s", line))
		}
	}
	_, err := fmt.Fprintf(p.stdout, "%s: OK\n", c.File)
	return outputError(err)
}

type configShow struct {
	File string `arg:"" name:"FILE" help:"Configuration file."`
}

// Run prints the effective configuration.
func (c *configShow) Run(p *process) error {
	cfg, err := config.Load(config.Sources{Factories: p.factories, File: c.File, Environ: p.environ})
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(config.AppendYAML(nil, cfg))
	return outputError(err)
}

type configDefault struct {
	File string `arg:"" optional:"" name:"FILE" help:"File to write, which must not exist yet. Default: standard output."`
}

// Run writes the defaults.
func (c *configDefault) Run(p *process) error {
	text := config.AppendDefaults(nil, config.Default(p.factories...))
	if c.File == "" || c.File == "-" {
		_, err := p.stdout.Write(text)
		return outputError(err)
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: it is not overwritten", c.File)
	}
	if err != nil {
		return fmt.Errorf("write the defaults: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
