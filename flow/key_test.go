package flow

import (
	"reflect"
	"testing"
)

// TestKeyEqual changes each byte of a key in turn.
func TestKeyEqual(t *testing.T) {
	key := Key{A: [16]byte{1}, B: [16]byte{2}, PortA: 3, PortB: 4, Proto: TCP, IP6: 1, Sub: 5, Scope: 6}
	if same := key; !key.equal(&same) {
		t.Error("a copy differs")
	}
	v := reflect.TypeFor[Key]()
	for i := range v.NumField() {
		field := v.Field(i)
		count := 1
		if field.Type.Kind() == reflect.Array {
			count = field.Type.Len()
		}
		for at := range count {
			other := key
			f := reflect.ValueOf(&other).Elem().Field(i)
			if f.Kind() == reflect.Array {
				f = f.Index(at)
			}
			f.SetUint(f.Uint() + 1)
			if key.equal(&other) {
				t.Errorf("%s %d: equal", field.Name, at)
			}
		}
	}
}
