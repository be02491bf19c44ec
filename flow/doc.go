// Package flow turns packets into flows: it decodes link layers, tunnels, IP and
// transport headers, finds the flow of each packet in a table, counts, keeps
// every time-out, and hands what happened to the next stage as events.
//
// In come batches of stamped packets (Table is an ingest.Handler); out go Events
// to a Handler, in the order of the packets that caused them. Time-outs are
// decided against the input's clock before the next packet is handled, and what
// they make carries the deadline as its time, so the events of a flow depend on
// the packets alone.
//
// All bytes are borrowed until the call returns: a Handler that keeps any must
// copy them. A Table, its Handler and everything after it are used by one
// goroutine; Table.Stats alone may be called from any. Nothing is allocated per
// packet.
//
// The package knows no protocol above the transport, no clock but the packets'
// and no output format.
package flow
