package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds a configuration file in bytes.
const maxFile = 1 << 20

// readFile returns the text of the file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return text, err
}

// file applies one file to the keys.
type file struct {
	path     string
	problems Problems
}

// apply reads the text into the keys below root.
func (f *file) apply(root *key, text []byte) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // the byte order mark of some editors
	parsed, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		f.syntax(err)
		return
	}
	var documents []*ast.DocumentNode
	for _, d := range parsed.Docs {
		if d.Body != nil {
			documents = append(documents, d)
		}
	}
	for i, d := range documents {
		if i > 0 {
			f.report(d.Body, "", "a second document in the file: want one")
			return
		}
		f.section(root, d.Body)
	}
}

// syntax reports a file that is no YAML.
func (f *file) syntax(err error) {
	p := &Problem{Origin: f.path, Text: err.Error()}
	var e yaml.Error
	if errors.As(err, &e) {
		p.Text = "not YAML: " + e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	f.problems = append(f.problems, p)
}

// at is the place of a node.
func (f *file) at(n ast.Node) origin {
	o := origin{name: f.path}
	if t := n.GetToken(); t != nil && t.Position != nil {
		o.line, o.column = t.Position.Line, t.Position.Column
	}
	return o
}

func (f *file) report(n ast.Node, path, text string) {
	f.problems = append(f.problems, f.at(n).problem(path, text))
}

// section applies a mapping to the keys of a section.
func (f *file) section(s *key, n ast.Node) {
	if _, empty := n.(*ast.NullNode); empty {
		return
	}
	mapping, ok := n.(ast.MapNode)
	if !ok {
		f.report(n, s.path, fmt.Sprintf("this is %s: want keys below it: %s", kindOf(n), didYouMean("", s.names())))
		return
	}
	seen := map[string]int{}
	for entries := mapping.MapRange(); entries.Next(); {
		f.entry(s, entries.Key(), entries.Value(), seen)
	}
}

// entry applies one key and its value.
func (f *file) entry(s *key, k ast.MapKeyNode, n ast.Node, seen map[string]int) {
	name := k.GetToken().Value
	where := f.at(k)
	path := name
	if s.path != "" {
		path = s.path + "." + name
	}
	if line, twice := seen[name]; twice {
		f.report(k, path, fmt.Sprintf("stands twice, first in line %d", line))
		return
	}
	seen[name] = where.line
	c, ok := s.child(name)
	switch {
	case !ok:
		f.report(k, path, "unknown key: "+didYouMean(name, s.names()))
	case !c.isValue():
		f.section(c, n)
	default:
		if err := setNode(c.value, n); err != nil {
			f.problems = append(f.problems, f.at(placeOf(n, k)).problem(c.path, err.Error()))
			return
		}
		c.from = where
	}
}

// placeOf is where a wrong value is shown: at the value if it has a place.
func placeOf(value, key ast.Node) ast.Node {
	if t := value.GetToken(); t != nil && t.Position != nil && t.Position.Line > 0 {
		return value
	}
	return key
}

// setNode sets v from a node.
func setNode(v reflect.Value, n ast.Node) error {
	if _, empty := n.(*ast.NullNode); empty {
		return fmt.Errorf("has no value: %s", wanted(v.Type()))
	}
	switch {
	case v.Type() == durationType:
		if i, ok := n.(*ast.IntegerNode); ok && i.GetToken().Value != "0" {
			return fmt.Errorf("%s: %s", i.GetToken().Value, wantDuration)
		}
		return setScalar(v, n)
	case v.CanAddr() && v.Addr().Type().Implements(textUnmarshaler):
		return setScalar(v, n)
	}
	switch v.Kind() {
	case reflect.Slice:
		return setList(v, n)
	case reflect.Map, reflect.Struct, reflect.Pointer, reflect.Interface, reflect.Array:
		if err := yaml.NodeToValue(n, v.Addr().Interface(), yaml.Strict()); err != nil {
			return errors.New(plainMessage(err))
		}
		return nil
	default:
		return setScalar(v, n)
	}
}

// setScalar sets v from a text, number or truth value; YAML's type must be that
// of v.
func setScalar(v reflect.Value, n ast.Node) error {
	mismatch := fmt.Errorf("this is %s: %s", kindOf(n), wanted(v.Type()))
	var text string
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode:
		text = n.GetToken().Value // as it is written: what YAML takes for octal is no such number here
	case *ast.FloatNode:
		text = strconv.FormatFloat(n.Value, 'g', -1, 64)
	case *ast.BoolNode:
		text = strconv.FormatBool(n.Value)
	default:
		return mismatch
	}
	if v.Kind() == reflect.String && !isText(n) {
		return fmt.Errorf("this is %s: want a text, %q in quotes", kindOf(n), text)
	}
	return parse(v, text)
}

func isText(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return true
	}
	return false
}

func setList(v reflect.Value, n ast.Node) error {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("this is %s: want a list, such as [a, b]", kindOf(n))
	}
	list := reflect.MakeSlice(v.Type(), 0, len(sequence.Values))
	for i, item := range sequence.Values {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := setNode(element, item); err != nil {
			return fmt.Errorf("element %d of the list: %w", i+1, err)
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return nil
}

// wanted says what a value of a type looks like.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return wantDuration
	case t.Kind() == reflect.Bool:
		return wantBool
	case t.Kind() == reflect.String, reflect.PointerTo(t).Implements(textUnmarshaler):
		return `want a text, "" for none`
	case t.Kind() == reflect.Slice:
		return "want a list, [] for none"
	case t.Kind() == reflect.Float32, t.Kind() == reflect.Float64:
		return wantNumber
	default:
		return "want a whole number"
	}
}

// kindOf names the kind of a node for people.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "a truth value"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.NullNode:
		return "nothing"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, which are not used here"
	default:
		return "a " + n.Type().YAMLName()
	}
}
