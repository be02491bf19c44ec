package session

import "fmt"

// parserPanic is the error of a parser that panicked.
type parserPanic struct{ value any }

func (p *parserPanic) Error() string { return fmt.Sprint(p.value) }

// tooMany is what Emit panics with when a parser passes its budget; guard turns
// it into a parse error.
type tooMany struct{ limit int }

func (t tooMany) Error() string {
	return fmt.Sprintf("parser emitted more than %d messages in one call", t.limit)
}

// guard calls a parser. It is the one place where a panic is caught: that parser
// ends, the flow and the sensor go on.
func (d *Driver) guard(call func(DatagramParser) error, s *flowState) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case tooMany:
			err = r
		default:
			err = &parserPanic{r}
		}
	}()
	d.emitted = 0
	return call(s.parser)
}
