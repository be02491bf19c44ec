package config

import "reflect"

// Changed returns the paths of the keys whose values differ between two
// configurations of the same factories, in the order of the file.
func Changed(a, b *Config) []string {
	var paths []string
	var walk func(x, y *key)
	walk = func(x, y *key) {
		if x.isValue() {
			if !reflect.DeepEqual(x.value.Interface(), y.value.Interface()) {
				paths = append(paths, x.path)
			}
			return
		}
		for i, k := range x.keys {
			walk(k, y.keys[i])
		}
	}
	walk(keysOf(a), keysOf(b))
	return paths
}

// Adopt sets the keys of these paths in one configuration to their values in
// another of the same factories.
func Adopt(to, from *Config, paths []string) {
	a, b := keysOf(to), keysOf(from)
	for _, path := range paths {
		if x, ok := a.find(path); ok && x.isValue() {
			y, _ := b.find(path)
			x.value.Set(y.value)
		}
	}
}
