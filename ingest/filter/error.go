package filter

import "fmt"

// Error says what is wrong with an expression.
type Error struct {
	// Offset is the byte of the expression where the trouble begins, from 0.
	Offset int
	// Text says what is wrong and what would be right.
	Text string
}

// Error counts bytes from 1, as editors do.
func (e *Error) Error() string {
	return fmt.Sprintf("filter: at character %d: %s", e.Offset+1, e.Text)
}

func errorAt(at int, format string, args ...any) error {
	return &Error{Offset: at, Text: fmt.Sprintf(format, args...)}
}

// clip shortens what is quoted from an expression.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
