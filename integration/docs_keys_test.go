package integration

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"flowscope/ingest"
)

// filled is what every text is set to, and every key of a map.
const filled = "x"

// fillValue sets everything that can be reached to something other than zero.
func fillValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem())
	case reflect.Struct:
		fillStruct(v)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(v.Index(0))
	case reflect.Array:
		for i := range v.Len() {
			fillValue(v.Index(i))
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillValue(key)
		fillValue(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(filled)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(filled))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(2)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(2)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(2.5)
	}
}

func fillStruct(v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
	case reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.1")))
	case reflect.TypeFor[netip.AddrPort]():
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("192.0.2.1:2")))
	default:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillValue(v.Field(i))
			}
		}
	}
}

// decodeMap reads a payload as a consumer in another language does.
func decodeMap(t *testing.T, payload []byte) map[string]any {
	t.Helper()
	d := msgpack.NewDecoder(bytes.NewReader(payload))
	d.UseLooseInterfaceDecoding(true)
	m, err := d.DecodeMap()
	if err != nil {
		t.Fatalf("decode %q: %v", payload, err)
	}
	return m
}

// keyTypes maps keys to the names of their types, with a dot between the key of a
// map and those in it and [] after the key of a list of maps. deep says whether
// maps are entered.
func keyTypes(m map[string]any, deep bool) map[string]string {
	types := map[string]string{}
	for k, v := range m {
		types[k] = typeOf(v)
		list, _ := v.([]any)
		switch {
		case !deep:
		case types[k] == "map":
			delete(types, k)
			for inner, typ := range keyTypes(v.(map[string]any), true) {
				types[k+"."+inner] = typ
			}
		case types[k] == "list of maps":
			for inner, typ := range keyTypes(list[0].(map[string]any), true) {
				types[k+"[]."+inner] = typ
			}
		}
	}
	return types
}

// typeOf names the type of a decoded value that fillValue has made.
func typeOf(v any) string {
	switch v := v.(type) {
	case int64, uint64:
		return "int"
	case string:
		return "str"
	case []byte:
		return "bin"
	case bool:
		return "bool"
	case float64:
		return "float"
	case time.Time:
		return "timestamp"
	case map[string]any:
		if element, ok := v[filled]; ok && len(v) == 1 {
			return "map of " + typeOf(element)
		}
		return "map"
	case []any:
		if len(v) == 0 {
			return "list"
		}
		if _, ok := v[0].(map[string]any); ok {
			return "list of maps"
		}
		return "list of " + typeOf(v[0])
	default:
		return fmt.Sprintf("%T", v)
	}
}

// keyRows returns a row for each key: the key, its type, and whether it always
// stands there. Keys are in alphabetical order but for those in front.
func keyRows(full map[string]string, always map[string]any, front ...string) (rows [][]string) {
	keys := slices.Sorted(maps.Keys(full))
	slices.SortStableFunc(keys, func(a, b string) int { return frontRank(a, front) - frontRank(b, front) })
	for _, k := range keys {
		yes := ""
		if _, ok := always[k]; ok {
			yes = "yes"
		}
		rows = append(rows, []string{backquoted(k), full[k], yes})
	}
	return rows
}

func frontRank(key string, front []string) int {
	if i := slices.Index(front, key); i >= 0 {
		return i
	}
	return len(front)
}

func backquoted(s string) string { return "`" + s + "`" }

// taggedField is one field of a message as its tag describes it.
type taggedField struct {
	key    string
	typ    reflect.Type
	always bool
}

// taggedFields lists the fields of a struct under their msgpack keys; those of
// embedded structs stand beside them.
func taggedFields(typ reflect.Type) (fields []taggedField) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, tagged := f.Tag.Lookup("msgpack")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct:
			fields = append(fields, taggedFields(f.Type)...)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			fields = append(fields, taggedField{name, f.Type, !slices.Contains(strings.Split(options, ","), "omitempty")})
		}
	}
	return fields
}

// typeText names the type of a field; the structs that it leads to are added to
// structs.
func typeText(typ reflect.Type, structs *[]reflect.Type) string {
	switch typ.Kind() {
	case reflect.Pointer:
		return typeText(typ.Elem(), structs)
	case reflect.String:
		return "str"
	case reflect.Bool:
		return "bool"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Slice, reflect.Array:
		switch elem := typ.Elem(); {
		case elem.Kind() == reflect.Uint8 && typ.Kind() == reflect.Slice:
			return "bin"
		case isMap(elem):
			return "list of maps, " + typeText(elem, structs)[len("map, "):]
		default:
			return "list of " + typeText(elem, structs)
		}
	case reflect.Map:
		return "map of " + typeText(typ.Elem(), structs)
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			return "timestamp"
		}
		if !slices.Contains(*structs, typ) {
			*structs = append(*structs, typ)
		}
		return fmt.Sprintf("map, [%s](#%s)", typ.Name(), strings.ToLower(path.Base(typ.PkgPath())+"-"+typ.Name()))
	case reflect.Interface:
		return "any"
	default:
		if typ == reflect.TypeFor[ingest.Timestamp]() {
			return "timestamp"
		}
		return "int"
	}
}

func isMap(typ reflect.Type) bool {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return typ.Kind() == reflect.Struct && typ != reflect.TypeFor[time.Time]()
}

// encodedKeys lists all keys of a decoded message with the maps in it, for
// comparison with declaredKeys.
func encodedKeys(prefix string, v any, keys map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			keys[prefix+k] = true
			encodedKeys(prefix+k+".", inner, keys)
		}
	case []any:
		for _, inner := range v {
			encodedKeys(prefix, inner, keys)
		}
	}
}

// declaredKeys lists all keys of a type with the maps in it.
func declaredKeys(prefix string, typ reflect.Type, keys map[string]bool) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		declaredKeys(prefix, typ.Elem(), keys)
	case reflect.Map:
		keys[prefix+filled] = true
		declaredKeys(prefix+filled+".", typ.Elem(), keys)
	case reflect.Struct:
		if isMap(typ) {
			for _, f := range taggedFields(typ) {
				keys[prefix+f.key] = true
				declaredKeys(prefix+f.key+".", f.typ, keys)
			}
		}
	}
}
