// Package cmd is the command line of a sensor: it parses arguments, reads the
// configuration, puts the stages together and reports what became of everything.
//
// In go the factories of the protocols that are built in, so that a binary with
// parsers of its own is five lines:
//
//	func main() { os.Exit(cmd.Main(append(parsers.All(), mine.New())...)) }
//
// Events go to standard output, everything else to standard error. The exit
// status is 0 when all is done and acknowledged, 1 when something failed, 2 for
// wrong use or configuration, and 130 when an interrupt came and what was under
// way could be finished.
//
// Main owns the process: it takes over SIGINT, SIGTERM and SIGPIPE, and starts
// goroutines that have all ended when it returns. It is called once.
//
// The package parses no packets and no protocols; the stages are in packages
// ingest, flow, session and publish, and know nothing of each other's set-up.
package cmd
