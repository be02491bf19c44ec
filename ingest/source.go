package ingest

// Source reads packets. It is used by one goroutine.
type Source interface {
	// ReadBatch fills packets from the front and returns how many. It sets
	// Data, Length, Time (0: the packet carries none) and Interface; Clock and
	// Number are set by Run. Data is borrowed until the next call of ReadBatch
	// or Close.
	//
	// It returns io.EOF at the regular end, and another error when the input
	// is damaged or unreadable; packets returned together with an error are
	// valid. A live source returns 0 and no error when its ring stays empty
	// for its block time-out.
	ReadBatch(packets []Packet) (int, error)
	// Close releases the source. It is safe to call twice.
	Close() error
}

// Live is an optional ability of a Source whose packets come as they happen.
type Live interface {
	// Live reports whether packets must not wait for others: with several
	// workers, what one ReadBatch returned is handed on before the next.
	Live() bool
}

// Clocked is an optional ability of a Source that knows how late it is while
// there are no packets.
type Clocked interface {
	// Clock is asked when ReadBatch returned nothing: no packet with an earlier
	// time will follow. It reports false if it cannot tell.
	Clock() (Timestamp, bool)
}

// Progress is an optional ability of a Source that has an end.
type Progress interface {
	// Progress returns how many bytes of the input, as stored, were read, and
	// how many there are, 0 if that is unknown. It may be called from any
	// goroutine.
	Progress() (done, total int64)
}

// Stopper is an optional ability of a Source that has no end of its own.
type Stopper interface {
	// Stop makes the source take nothing more: ReadBatch returns what is there
	// already, and then io.EOF. It may be called from any goroutine, and twice.
	Stop()
}

// Losses are packets that reached an input and were not handed on.
type Losses struct {
	// Filtered did not pass a filter that was applied after they were counted.
	Filtered uint64
	// DroppedKernel found no room in a ring.
	DroppedKernel uint64
	// Unseen passed a network interface before it was captured on, by the
	// interface's own count. No source has received these.
	Unseen uint64
}

// Lossy is an optional ability of a Source that does not hand on everything.
type Lossy interface {
	// Losses returns the counts so far. It may be called from any goroutine.
	Losses() Losses
}

// Handler is the stage after ingest. Each worker has one, and calls it from
// one goroutine only.
type Handler interface {
	// HandlePackets takes a batch in input order. All bytes are borrowed until
	// the call returns.
	HandlePackets(packets []Packet)
	// Tick says that the input's clock has reached now. A tick that runs
	// backwards says that the input began anew at that time: whatever was
	// tracked has ended.
	Tick(now Timestamp)
	// Close says that the input is over: cause is nil at its regular end, the
	// context's error when the run was stopped, and what broke it otherwise. It
	// is called once, last.
	Close(cause error)
}
