package cmd

import (
	"errors"
	"fmt"

	"flowscope/cmd/internal/sandbox"
	"flowscope/config"
)

// filesHere checks the files of logins; see config.Sources.
func filesHere(c *config.Config) error {
	err := c.Publish.CheckFiles()
	if err == nil {
		return nil
	}
	var errs []error
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		errs = append(errs, fmt.Errorf("publish.%w", e))
	}
	return errors.Join(errs...)
}

// sensorHere checks what a live sensor takes of the machine that it runs on.
func sensorHere(c *config.Config) error {
	err := filesHere(c)
	if c.Security.User != "" {
		if _, _, unknown := sandbox.Lookup(c.Security.User); unknown != nil {
			err = errors.Join(err, fmt.Errorf("security.user: %w", unknown))
		}
	}
	return err
}
