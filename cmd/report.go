package cmd

import (
	"encoding/json"
	"errors"
	"fmt"

	"flowscope/publish"
)

// join is errors.Join, but for an interrupt or a closed pipe, which are no
// trouble beside trouble.
func join(errs []error) error {
	var trouble []error
	var quiet error
	for _, err := range errs {
		switch {
		case err == nil:
		case err == errInterrupted, errors.Is(err, publish.ErrClosedPipe):
			quiet = err
		default:
			trouble = append(trouble, err)
		}
	}
	if len(trouble) > 0 {
		return errors.Join(trouble...)
	}
	return quiet
}

// report tells what went wrong and what became of everything, in this order.
func (r *replay) report(l *publish.Ledger, err error) error {
	complain(r.notes, err)
	if errors.Is(err, publish.ErrClosedPipe) {
		return err
	}
	var text []byte
	if r.json {
		l.Last = nil // is for audits
		var marshalErr error
		if text, marshalErr = json.Marshal(l); marshalErr != nil {
			return errors.Join(err, fmt.Errorf("write the report: %w", marshalErr))
		}
		text = append(text, '\n')
	} else {
		text = l.AppendText(nil)
	}
	if _, writeErr := r.notes.Write(text); writeErr != nil {
		return errors.Join(err, fmt.Errorf("write the report: %w", writeErr))
	}
	if err == nil {
		return nil
	}
	return &reportedError{err}
}
