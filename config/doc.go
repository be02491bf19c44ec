// Package config reads the one configuration of a sensor: the Configs of the
// stages, and the options of the protocols, put together in one YAML file.
//
// In go a file, environment variables and command-line flags, in rising order of
// precedence over the defaults; out comes a Config that has passed every stage's
// Validate, or Problems: each with file, line, column and key, and what would be
// right. Reading is strict: an unknown key, a key that stands twice and a value
// of the wrong type are problems, and so is an environment variable that begins
// with FLOWSCOPE_ and names nothing.
//
// A Config belongs to the caller and shares no memory with what it was read
// from. Nothing here starts goroutines; the functions may be called from any.
//
// The package knows the protocols only through the factories that it is given
// (see session.Configurable). It opens no file but the one it is told to read,
// holds no secrets beyond what the file has, and does not watch for changes.
package config
