package config

import (
	"flowscope/session"
)

// Sources are what a configuration is read from. Later fields go before earlier
// ones, all of them before the defaults.
type Sources struct {
	// Factories are the protocols that may be configured.
	Factories []session.Factory
	// File is the path of a YAML file, "" for none.
	File string
	// Environ has the form of os.Environ; variables that do not begin with
	// FLOWSCOPE_ are left alone.
	Environ []string
	// Flags were given on the command line.
	Flags []Flag
	// Check looks at what only this machine can tell, such as files, once all else is
	// right; nil looks at nothing. Each of its errors begins with the path of its key.
	Check func(*Config) error
}

// Flag is one value from the command line.
type Flag struct {
	// Name is what messages call it: "--workers".
	Name string
	// Key is the path of the key that it sets: "workers".
	Key string
	// Value is its text; lists are separated by commas.
	Value string
}

// Load reads a configuration and validates it. The error is of type Problems
// and holds everything that is wrong.
func Load(s Sources) (*Config, error) {
	c := Default(s.Factories...)
	root := keysOf(c)
	if k, twice := root.twice(); twice {
		return nil, Problems{{Text: k.path + ": an option of the protocol's own has the name of one that every protocol has"}}
	}
	var problems Problems
	if s.File != "" {
		text, err := readFile(s.File)
		if err != nil {
			return nil, Problems{{Text: "configuration: " + err.Error()}}
		}
		f := &file{path: s.File}
		f.apply(root, text)
		problems = f.problems
	}
	problems = append(problems, applyEnviron(root, s.Environ)...)
	for _, flag := range s.Flags {
		from := origin{name: flag.Name, bare: true}
		k, ok := root.find(flag.Key)
		if !ok || !k.isValue() {
			problems = append(problems, from.problem(flag.Key, "no such key: "+flag.Key))
			continue
		}
		problems = append(problems, k.assign(flag.Value, from)...)
	}
	if len(problems) > 0 {
		// A value that could not be read still has its default, which may not
		// go with the others: only one kind of trouble at a time.
		return nil, problems
	}
	if err := validate(c, root).orNil(); err != nil {
		return nil, err
	}
	if s.Check != nil {
		if err := s.Check(c); err != nil {
			return nil, locate(root, "", err)
		}
	}
	return c, nil
}
