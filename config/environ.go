package config

import (
	"slices"
	"strings"
)

// envPrefix begins the names of all variables that are ours.
const envPrefix = "FLOWSCOPE_"

// foreign are variables that begin like ours and are read by others: by tests and
// by what builds and starts containers.
var foreign = []string{"CORPUS", "REQUIRE_CORPUS", "DOCKER", "LONG", "CHAOS"}

// imageSuffix ends the variables that name container images.
const imageSuffix = "IMAGE"

// variable is the environment variable of a key.
func (k *key) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// applyEnviron reads the variables, each of the form name=value. An empty one is as
// good as none.
func applyEnviron(root *key, environ []string) (problems Problems) {
	known := map[string]*key{}
	var names []string
	root.values(func(k *key) {
		known[k.variable()] = k
		names = append(names, k.variable())
	})
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || slices.Contains(foreign, rest) || strings.HasSuffix(rest, imageSuffix) {
			continue
		}
		k, ok := known[name]
		if !ok {
			problems = append(problems, &Problem{Origin: name, Text: unknownVariable(name, names)})
			continue
		}
		if text == "" {
			continue // as if it was not set, which compose files cannot say otherwise
		}
		problems = append(problems, k.assign(text, origin{name: name, bare: true})...)
	}
	return problems
}

// unknownVariable does not list all variables: there are too many.
func unknownVariable(name string, known []string) string {
	const text = "no such key: variables are " + envPrefix + "<SECTION>_<KEY>"
	if best, ok := nearest(name, known); ok {
		return text + ", did you mean " + best + "?"
	}
	return text
}

// assign sets a value from text.
func (k *key) assign(text string, from origin) Problems {
	if err := parse(k.value, text); err != nil {
		return Problems{from.problem(k.path, err.Error())}
	}
	k.from = from
	return nil
}
