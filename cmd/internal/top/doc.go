// Package top is the terminal view of one sensor or a fleet: packets, drops,
// flows, events and acknowledgements per second, from the counts that sensors
// tell of themselves.
//
// In goes a Source that is asked again and again; out comes a screen. Model is a
// bubbletea model without clock or network of its own: rates come from the times
// inside two statuses of the same run. A sensor that stops answering stays on the
// screen, silent and then lost, and shows no rates. Run owns the terminal until the
// user quits or the context ends.
package top
