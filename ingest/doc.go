// Package ingest is the first stage: packets come in from capture files,
// standard input or a capture handle, and go out in batches to one Handler per
// worker, each packet stamped with the input's clock and a number.
//
// In go the inputs: [Open] and [OpenFiles] read pcap and pcapng files, plain or
// packed with gzip; [NewReader] reads the same from any stream;
// [FromDataSource] takes a gopacket handle that somebody already has; and
// [OpenLive] captures on network interfaces, with one source for each worker. All
// of them are a [Source], and so is anything else that fills batches of [Packet].
//
// Out go the calls of a [Runner]: it reads the source, stamps every packet
// before it chooses a worker, so that what a packet means does not depend on
// the number of workers, and hands batches over in input order. A [Group] is for
// inputs that come divided: a Runner for each of several sources.
//
// # Bytes
//
// All bytes are borrowed. A source owns what Packet.Data points to and may
// overwrite it at the next ReadBatch; a handler may read it until
// HandlePackets returns. The file readers cut packets out of one read buffer
// without copying, and live sources hand on the memory that they share with the
// kernel. With one worker these very bytes reach the handler; with
// several, the runner copies each packet once, into the batch of its worker.
//
// # Goroutines
//
// A source is used by one goroutine. With one worker there is no other: the
// handler runs on the reader's. With several, each handler has a goroutine of
// its own, fed through a bounded queue that blocks the reader; nothing is ever
// dropped here. In a Group each worker reads its own source on its own goroutine,
// without any queue: what a live source cannot take, the kernel drops and counts.
// Run waits for all of them. A panic of a handler is not caught.
//
// # Hostile input
//
// Capture files are somebody else's bytes. Lengths are checked before they are
// believed, memory grows only with bytes that are there, and what is damaged
// ends the file with a [DamageError] after the packets before it.
//
// The package does not look into packets, does not judge link types, and knows no
// flows. What the kernel is to pass and where it is to go are programs that it is
// given.
package ingest
