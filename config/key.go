package config

import (
	"reflect"
	"strings"
)

// key is one key of the configuration: a section with keys in it, or a value.
type key struct {
	name    string
	path    string // with dots; "" for the whole
	comment string
	keys    []*key        // of a section, in order
	value   reflect.Value // of a value, settable
	from    origin        // what set it last
}

// origin is where a value was set.
type origin struct {
	name         string // file, variable or flag; "" is a default
	line, column int
	bare         bool // name says the key already
}

// problem says what is wrong with a value that was set there.
func (o origin) problem(path, text string) *Problem {
	if o.bare {
		path = ""
	}
	return &Problem{Origin: o.name, Line: o.line, Column: o.column, Key: path, Text: text}
}

// keysOf returns the tree of all keys of c; setting them changes c.
func keysOf(c *Config) *key {
	root := section(nil, "", reflect.ValueOf(c).Elem())
	for i, k := range root.keys {
		if k.name == "protocols" {
			root.keys[i] = protocolKeys(root, c.Protocols)
		}
	}
	return root
}

// section makes the keys of a struct.
func section(parent *key, name string, v reflect.Value) *key {
	s := newKey(parent, name)
	s.addFields(v)
	return s
}

func newKey(parent *key, name string) *key {
	k := &key{name: name, path: name}
	if parent != nil && parent.path != "" {
		k.path = parent.path + "." + name
	}
	k.comment = comments[k.path]
	return k
}

// addFields adds the fields of a struct that have a yaml tag.
func (k *key) addFields(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !field.IsExported() || name == "" || name == "-" {
			continue
		}
		child := newKey(k, name)
		if c := field.Tag.Get("comment"); c != "" {
			child.comment = c
		}
		if isSection(field.Type) {
			child.addFields(v.Field(i))
		} else {
			child.value = v.Field(i)
		}
		k.keys = append(k.keys, child)
	}
}

// isSection says whether a type holds keys of its own.
func isSection(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(textUnmarshaler) {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") != "" {
			return true
		}
	}
	return false
}

// protocolKeys makes the section of each protocol.
func protocolKeys(root *key, protocols []*Protocol) *key {
	all := newKey(root, "protocols")
	for _, p := range protocols {
		s := newKey(all, p.Name())
		s.comment = p.factory.Protocol().Title
		s.add("enabled", "Whether the protocol is parsed.", &p.Enabled)
		s.add("ports", p.portsHelp(), &p.Settings.Ports)
		if p.streams() {
			s.add("buffer", "Bytes of a side of a stream that wait for the parser; the parser that needs more is ended.", &p.Settings.Buffer)
		}
		if p.Options != nil {
			s.addFields(reflect.ValueOf(p.Options).Elem())
		}
		all.keys = append(all.keys, s)
	}
	return all
}

// add adds a key whose value is what v points to.
func (k *key) add(name, comment string, v any) {
	child := newKey(k, name)
	child.comment, child.value = comment, reflect.ValueOf(v).Elem()
	k.keys = append(k.keys, child)
}

// portsHelp says what the ports of a protocol are for.
func (p *Protocol) portsHelp() string {
	switch d := p.factory.Protocol(); {
	case d.PortsHelp != "":
		return d.PortsHelp
	case d.PortDecides:
		return "Ports on which the protocol is tried first, and taken for granted when content does not tell."
	default:
		return "Ports on which the protocol is tried first; content decides on all."
	}
}

// twice returns the first key that stands twice in a section below k.
func (k *key) twice() (*key, bool) {
	for i, c := range k.keys {
		for _, other := range k.keys[:i] {
			if c.name == other.name {
				return c, true
			}
		}
		if found, ok := c.twice(); ok {
			return found, true
		}
	}
	return nil, false
}

// isValue says whether k is a value and no section.
func (k *key) isValue() bool { return k.value.IsValid() }

// child returns the key of that name in a section.
func (k *key) child(name string) (*key, bool) {
	for _, c := range k.keys {
		if c.name == name {
			return c, true
		}
	}
	return nil, false
}

// find returns the key of that path.
func (k *key) find(path string) (*key, bool) {
	for name := range strings.SplitSeq(path, ".") {
		c, ok := k.child(name)
		if !ok {
			return nil, false
		}
		k = c
	}
	return k, true
}

// names returns the names of the keys in a section.
func (k *key) names() []string {
	names := make([]string, len(k.keys))
	for i, c := range k.keys {
		names[i] = c.name
	}
	return names
}

// values calls f for each value below k, in order.
func (k *key) values(f func(*key)) {
	if k.isValue() {
		f(k)
	}
	for _, c := range k.keys {
		c.values(f)
	}
}

// set returns the first key below k, or k, that was set by something.
func (k *key) set() (found origin) {
	k.values(func(v *key) {
		if found == (origin{}) {
			found = v.from
		}
	})
	return found
}
