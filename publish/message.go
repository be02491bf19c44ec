package publish

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"flowscope/session"
)

// decodeMessage unpacks a checked message into the type that the protocol's
// factory names, else into a RawMessage.
func decodeMessage(data []byte, protocol, kind string, reg *session.Registry) (session.Message, error) {
	m, ok := newMessage(protocol, kind, reg)
	if !ok {
		return &RawMessage{Name: kind, Msgpack: bytes.Clone(data)}, nil
	}
	if err := msgpack.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("message %s.%s: %w", protocol, kind, err)
	}
	timesToUTC(reflect.ValueOf(m))
	return m, nil
}

// newMessage returns a pointer to a new message of the kind.
func newMessage(protocol, kind string, reg *session.Registry) (session.Message, bool) {
	if reg == nil {
		return nil, false
	}
	f, ok := reg.Lookup(protocol)
	if !ok {
		return nil, false
	}
	return f.Protocol().NewMessage(kind)
}

var timeType = reflect.TypeFor[time.Time]()

// timesToUTC sets all times that can be reached from v to UTC; the package that
// unpacks leaves them in local time.
func timesToUTC(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			timesToUTC(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == timeType {
			if v.CanSet() {
				v.Set(reflect.ValueOf(v.Interface().(time.Time).UTC()))
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				timesToUTC(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		if holdsNoTime(v.Type().Elem()) {
			return
		}
		for i := range v.Len() {
			timesToUTC(v.Index(i))
		}
	}
}

// holdsNoTime spares the walk through the elements of byte strings and the like.
func holdsNoTime(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Slice, reflect.Array:
		return false
	default:
		return true
	}
}
