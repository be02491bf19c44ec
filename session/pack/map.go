package pack

// Map writes a map whose number of pairs is known only at its end. Its header
// always takes three bytes.
//
//	m := pack.BeginMap(b)
//	m.Key("id")
//	m.B = pack.Uint(m.B, 7)
//	b = m.End()
//
// B holds everything written so far. Keys are written with Key, which counts
// them; the value after each key is the caller's, appended to B.
type Map struct {
	B     []byte
	start int
	n     int
}

// BeginMap reserves a map header at the end of b.
func BeginMap(b []byte) Map {
	return Map{B: append(b, 0xde, 0, 0), start: len(b)}
}

// Key starts the next pair. A map takes at most 65,535 pairs.
func (m *Map) Key(k string) {
	m.n++
	m.B = append(StringHeader(m.B, len(k)), k...)
}

// Uint adds a pair with an unsigned integer.
func (m *Map) Uint(k string, v uint64) { m.Key(k); m.B = Uint(m.B, v) }

// Int adds a pair with a signed integer.
func (m *Map) Int(k string, v int64) { m.Key(k); m.B = Int(m.B, v) }

// Bool adds a pair with a boolean.
func (m *Map) Bool(k string, v bool) { m.Key(k); m.B = Bool(m.B, v) }

// String adds a pair with a string that is known to be valid UTF-8.
func (m *Map) String(k, v string) { m.Key(k); m.B = String(m.B, v) }

// Text adds a pair with wire text, see Text.
func (m *Map) Text(k string, v []byte) { m.Key(k); m.B = Text(m.B, v) }

// Time adds a pair with a time in nanoseconds since the Unix epoch.
func (m *Map) Time(k string, ns int64) { m.Key(k); m.B = Time(m.B, ns) }

// End fills the header in and returns the bytes.
func (m *Map) End() []byte {
	m.B[m.start+1], m.B[m.start+2] = byte(m.n>>8), byte(m.n)
	return m.B
}

// Array writes an array whose length is known only at its end. Elements are
// appended to B by the caller, each announced by Next.
type Array struct {
	B     []byte
	start int
	n     int
}

// BeginArray reserves an array header at the end of b.
func BeginArray(b []byte) Array {
	return Array{B: append(b, 0xdc, 0, 0), start: len(b)}
}

// Next announces one element. An array takes at most 65,535.
func (a *Array) Next() { a.n++ }

// Len returns the number of elements announced.
func (a *Array) Len() int { return a.n }

// End fills the header in and returns the bytes.
func (a *Array) End() []byte {
	a.B[a.start+1], a.B[a.start+2] = byte(a.n>>8), byte(a.n)
	return a.B
}
