package publish

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"flowscope/session"
)

// RawMessage is a message of a protocol or kind that the registry given to Decode
// does not know, and of events about the sensor: the bytes as they came.
type RawMessage struct {
	// Name is the message's kind.
	Name string
	// Msgpack is one msgpack map that Check has passed.
	Msgpack []byte
}

var _ session.Message = (*RawMessage)(nil)

// Kind returns the kind that the envelope gave.
func (m *RawMessage) Kind() string { return m.Name }

// AppendMsgpack appends the bytes as they came.
func (m *RawMessage) AppendMsgpack(b []byte) []byte { return append(b, m.Msgpack...) }

// Unmarshal unpacks the message into what v points to, by the rules and struct
// tags of github.com/vmihailenco/msgpack/v5.
func (m *RawMessage) Unmarshal(v any) error {
	if err := Check(m.Msgpack); err != nil {
		return fmt.Errorf("unpack message %s: %w", m.Name, err)
	}
	if err := msgpack.Unmarshal(m.Msgpack, v); err != nil {
		return fmt.Errorf("unpack message %s: %w", m.Name, err)
	}
	return nil
}
