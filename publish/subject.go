package publish

import (
	"errors"
	"fmt"
	"strings"

	"flowscope/session"
)

// SensorPlaceholder stands for the sensor's name in a subject prefix.
const SensorPlaceholder = "{sensor}"

// Subjects returns the subject of each topic, <prefix>.<protocol>.<kind>, in the
// order of topics. The prefix is one or more tokens separated by dots; the
// placeholder {sensor} is replaced by SensorToken(sensor). Tokens consist of a-z,
// 0-9 and _, so nothing that came from the wire can add a token or a wildcard.
func Subjects(prefix, sensor string, topics []session.Topic) ([]string, error) {
	prefix, err := expandPrefix(prefix, sensor)
	if err != nil {
		return nil, err
	}
	subjects := make([]string, len(topics))
	for i, t := range topics {
		for _, token := range []string{t.Protocol, t.Kind} {
			if !isToken(token) {
				return nil, fmt.Errorf("topic %q.%q: %q is no subject token: want letters a-z, digits and _", t.Protocol, t.Kind, token)
			}
		}
		subjects[i] = prefix + "." + t.Protocol + "." + t.Kind
	}
	return subjects, nil
}

// SensorToken returns the sensor's name as a subject token: letters in lower
// case, and _ in place of every other character than a-z, 0-9 and _.
func SensorToken(sensor string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		default:
			return '_'
		}
	}, sensor)
}

func expandPrefix(prefix, sensor string) (string, error) {
	if prefix == "" {
		return "", errors.New("subject prefix is empty: want one or more tokens such as flowscope or acme.{sensor}.flowscope")
	}
	expanded := prefix
	if strings.Contains(prefix, SensorPlaceholder) {
		if sensor == "" {
			return "", fmt.Errorf("subject prefix %q holds %s, but the sensor has no name", prefix, SensorPlaceholder)
		}
		expanded = strings.ReplaceAll(prefix, SensorPlaceholder, SensorToken(sensor))
	}
	for token := range strings.SplitSeq(expanded, ".") {
		switch {
		case token == "":
			return "", fmt.Errorf("subject prefix %q has an empty token: want tokens separated by single dots, none at either end", prefix)
		case strings.ContainsAny(token, "{}"):
			return "", fmt.Errorf("subject prefix %q: token %q: the only placeholder is %s", prefix, token, SensorPlaceholder)
		case !isToken(token):
			return "", fmt.Errorf("subject prefix %q: token %q: want letters a-z, digits and _, or %s", prefix, token, SensorPlaceholder)
		}
	}
	return expanded, nil
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}
