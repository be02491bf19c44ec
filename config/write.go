package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

const head = "# Configuration of flowscope. Every key may be left out; these are the defaults.\n" +
	"# A variable FLOWSCOPE_<SECTION>_<KEY> goes before this file, a flag before both.\n" +
	"# What says [reload] a running sensor takes up at SIGHUP; all else needs a restart.\n"

// AppendDefaults appends the file that says what holds without any: every key
// with its default and a comment.
func AppendDefaults(b []byte, c *Config) []byte {
	return appendKeys(append(b, head...), keysOf(c), true)
}

// AppendYAML appends the configuration without comments. Logins in URLs, and
// what has a name like a secret, are masked.
func AppendYAML(b []byte, c *Config) []byte {
	return appendKeys(b, keysOf(c), false)
}

func appendKeys(b []byte, k *key, commented bool) []byte {
	for i, child := range k.keys {
		depth := strings.Count(child.path, ".")
		indent := strings.Repeat("  ", depth)
		if commented {
			if depth == 0 || i > 0 && !(child.isValue() && k.keys[i-1].isValue()) {
				b = append(b, '\n')
			}
			mark := ""
			if child.isValue() && Reloadable(child.path) {
				mark = reloadMark
			}
			b = fmt.Appendf(b, "%s# %s%s\n", indent, child.comment, mark)
		}
		b = append(append(append(b, indent...), child.name...), ':')
		if child.isValue() {
			b = append(b, ' ')
			b = append(b, child.shown()...)
			b = append(b, '\n')
			continue
		}
		if len(child.keys) == 0 {
			b = append(b, " {}\n"...)
			continue
		}
		b = appendKeys(append(b, '\n'), child, commented)
	}
	return b
}

// secretName are names of keys whose value nobody needs to see; a file's name is
// no secret.
var secretName = regexp.MustCompile(`(^|_)(password|passphrase|secret|token|community|communities)$`)

// shown is the value as it may be shown.
func (k *key) shown() string {
	if secretName.MatchString(k.name) && !k.value.IsZero() {
		return strconv.Quote(masked)
	}
	return mask(render(k.value))
}

// render writes a value in YAML, on one line.
func render(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return shortDuration(d)
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return quoted(string(text))
		}
	}
	switch v.Kind() {
	case reflect.String:
		return quoted(v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = render(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map, reflect.Struct, reflect.Pointer, reflect.Interface, reflect.Array:
		text, err := yaml.MarshalWithOptions(v.Interface(), yaml.Flow(true))
		if err != nil {
			return quoted(fmt.Sprint(v.Interface()))
		}
		return strings.TrimSpace(string(text))
	default:
		return fmt.Sprint(v.Interface())
	}
}

// plainText is text that YAML takes for text without quotes.
var (
	plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)
	otherText = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null)$`)
)

func quoted(s string) string {
	if plainText.MatchString(s) && !otherText.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// shortDuration writes 5m for 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
