package session

// Message is one typed message of a protocol.
type Message interface {
	// Kind returns the message's kind, a token of the subject: [a-z0-9_]+,
	// one of the kinds of the factory's Protocol. It must not depend on
	// bytes from the wire other than by choosing among those.
	Kind() string
	// AppendMsgpack appends the message as one msgpack map with string keys
	// and returns the grown slice, as append does. Package session/pack has
	// what it needs.
	AppendMsgpack(b []byte) []byte
}
