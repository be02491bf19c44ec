package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

var (
	durationType    = reflect.TypeFor[time.Duration]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// What a value of the wrong type is told.
const (
	wantBool     = "want true or false"
	wantNumber   = "want a number"
	wantDuration = "want a duration with its unit, such as 500ms, 10s or 5m"
)

// parse sets v from the text of a variable, a flag, or a list's element. Lists
// are separated by commas.
func parse(v reflect.Value, text string) error {
	switch {
	case v.Type() == durationType:
		return parseDuration(v, text)
	case v.CanAddr() && v.Addr().Type().Implements(textUnmarshaler):
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		return parseBool(v, text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return parseInteger(v, text)
	case reflect.Float32, reflect.Float64:
		return parseFloat(v, text)
	case reflect.Slice:
		return parseList(v, text)
	default:
		if err := yaml.UnmarshalWithOptions([]byte(text), v.Addr().Interface(), yaml.Strict()); err != nil {
			return fmt.Errorf("%q: want a value in YAML: %s", text, plainMessage(err))
		}
	}
	return nil
}

// durationShape is that of durations, those of more than 64 bits among them.
var durationShape = regexp.MustCompile(`^[-+]?([0-9]+(\.[0-9]*)?(ns|us|µs|μs|ms|s|m|h))+$`)

func parseDuration(v reflect.Value, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil && durationShape.MatchString(text) {
		return fmt.Errorf("%q: too long: want at most %v", text, time.Duration(math.MaxInt64).Truncate(time.Hour))
	}
	if err != nil {
		return fmt.Errorf("%q: %s", text, wantDuration)
	}
	v.SetInt(int64(d))
	return nil
}

func parseBool(v reflect.Value, text string) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%q: %s", text, wantBool)
	}
	v.SetBool(text == "true")
	return nil
}

// plainNumber is how whole numbers are written: 0x35, 0o65 and 1_000 are refused, and
// so is 053, which is 53 to some and 43 to others.
var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func parseInteger(v reflect.Value, text string) error {
	bits := v.Type().Bits()
	_, other := strconv.ParseInt(text, 0, 64)
	if _, err := strconv.ParseInt(text, 10, 64); (err == nil || other == nil) && !plainNumber.MatchString(text) {
		return fmt.Errorf("%q: want a whole number in plain decimal: digits, of which the first is no 0", text)
	}
	if v.CanUint() {
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return fmt.Errorf("%q: want a whole number from 0 to %d", text, ^uint64(0)>>(64-bits))
		}
		v.SetUint(n)
		return nil
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%q: want a whole number of at most %d bits", text, bits)
	}
	if err != nil {
		return fmt.Errorf("%q: want a whole number", text)
	}
	v.SetInt(n)
	return nil
}

func parseFloat(v reflect.Value, text string) error {
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("%q: %s", text, wantNumber)
	}
	v.SetFloat(f)
	return nil
}

func parseList(v reflect.Value, text string) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := parse(element, item); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return nil
}

// plainMessage is the message of an error of the YAML package, without the lines
// of the source that it likes to quote.
func plainMessage(err error) string {
	var e yaml.Error
	if errors.As(err, &e) {
		return e.GetMessage()
	}
	return err.Error()
}
