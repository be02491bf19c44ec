// Package dns parses the Domain Name System (RFC 1035 and its successors),
// multicast DNS (RFC 6762) and link-local multicast name resolution (RFC 4795)
// over UDP, and DNS over TCP (RFC 7766). New, NewMDNS and NewLLMNR make the three
// factories; they share everything but ports, two bits of mDNS, and pairing.
//
// In goes one UDP payload at a time, or the bytes of a stream as they come,
// borrowed until the call returns. Out come
// Query and Response, one per message; for DNS also Unanswered, one per
// transaction that got no answer. Names are in presentation format (RFC 1035
// section 5.1: always ASCII, case kept, no final dot, the root is "."); resource
// data is in the presentation format of its type, without final dots either, or
// in the generic form of RFC 3597 where the type has none, is not known, or does
// not match its bytes.
//
// The messages that a parser emits are borrowed as well: they and their strings
// live in scratch memory that is used again as soon as Emit has returned.
// Messages that a consumer has decoded are ordinary values.
//
// A transaction is a query, its retransmissions (same side, id and question) and
// the answer: the first response of the opposite side with the same id and the
// same question, compared without case, or with the same id alone if it carries
// no question. Each retransmission is a Query event of its own that says how
// many came before it. The round-trip time counts from the first query.
//
// What is malformed raises the anomaly dns_malformed and does not end the
// parser: the next datagram is a message of its own. A damaged message is still
// emitted as far as it could be read, marked truncated, if its header and its
// first question were readable.
//
// In a stream each message has its length in front. After a gap that ends inside
// a message the stream goes on behind it; else, and in the middle of a
// connection, at the next message that has a question.
//
// Work and memory are linear in the size of the payload whatever it holds:
// compression pointers only lead backwards, each label is expanded once, and the
// text made of one message has a limit. A flow's open queries are capped.
//
// A factory may be used by several goroutines, a parser by one. The package
// knows neither TLS nor HTTP around DNS, validates no signatures, and keeps no
// cache of what was resolved.
package dns
