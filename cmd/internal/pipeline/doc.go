// Package pipeline puts the stages of a sensor together: one reader, and for each
// worker a flow table, a session driver and a sink of the publisher.
//
// In go a packet source and a publisher that is running or about to; out comes
// the run, and the ledger of it. New builds from the last stage to the first and
// starts nothing; Run starts the workers' goroutines and waits for them. Ledger
// may be called from any goroutine at any time, and balances after Run has
// returned and the publisher is flushed.
//
// The package opens nothing, closes nothing but the stages themselves, and
// prints nothing.
package pipeline
