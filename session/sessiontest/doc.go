// Package sessiontest tests parsers: a contract that every parser passes, a
// Recorder that takes what a parser puts out, and captures as parser input.
//
// In go factories, payloads and segments, out come failures of the *testing.T and recorded
// emissions, which are owned by the caller: nothing of them points into parser
// or payload. A Recorder is used by one goroutine. The package is imported by
// tests only; it knows no protocol, and neither detection nor the driver.
package sessiontest
