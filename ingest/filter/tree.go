package filter

// node is a condition.
type node interface{ condition() }

type (
	// constant is true or false.
	constant bool
	// not is true if its operand is false.
	not struct{ x node }
	// both is true if both are, either if one is.
	both   struct{ x, y node }
	either struct{ x, y node }
	// linkAddress compares the Ethernet addresses.
	linkAddress struct {
		dir direction
		mac [6]byte
	}
	// linkMulticast is the group bit of the destination.
	linkMulticast struct{}
	// network compares IP or ARP addresses.
	network struct {
		family   family
		dir      direction
		six      bool
		prefixes []prefix
	}
	// multicast is an IP destination for many.
	multicast struct{ family family }
	// port compares ports of the transports.
	port struct {
		family family // ip, ip6 or any
		protos []uint8
		dir    direction
		ranges []portRange
	}
	// etherType is what the frame carries, after tags.
	etherType struct{ number uint16 }
	// transport is a protocol over IP.
	transport struct {
		family family
		number uint8
	}
	// vlan is a frame with a tag; id -1 is any.
	vlan struct{ id int }
	// relation compares two numbers.
	relation struct {
		op   string // = != < <= > >=
		x, y number
	}
)

func (constant) condition()      {}
func (not) condition()           {}
func (both) condition()          {}
func (either) condition()        {}
func (linkAddress) condition()   {}
func (linkMulticast) condition() {}
func (network) condition()       {}
func (multicast) condition()     {}
func (port) condition()          {}
func (etherType) condition()     {}
func (transport) condition()     {}
func (vlan) condition()          {}
func (relation) condition()      {}

// prefix is an address and which of its bits count; of IPv4 the first four bytes.
type prefix struct{ addr, mask [16]byte }

// portRange is from one port to another.
type portRange struct{ lo, hi uint16 }

// direction says which of two ends is meant.
type direction uint8

const (
	srcOrDst direction = iota
	srcOnly
	dstOnly
	srcAndDst
)

// family says where an address or a protocol is looked for.
type family uint8

const (
	anyFamily family = iota
	ip4
	ip6
	arp
	rarp
	linkLayer
)

// number is an arithmetic expression.
type number interface{ arithmetic() }

type (
	// literal is a number.
	literal uint32
	// length is the frame's length on the wire.
	length struct{}
	// operation is one of + - * / % & | ^ << >>.
	operation struct {
		op   string
		x, y number
	}
	// load is bytes of a packet: proto[index:size].
	load struct {
		base  base
		index number
		size  int // 1, 2 or 4
	}
)

func (literal) arithmetic()   {}
func (length) arithmetic()    {}
func (operation) arithmetic() {}
func (load) arithmetic()      {}

// base is the header that a load counts from, and what must hold for it.
type base struct {
	kind baseKind
	// proto is the transport, for inIP4 and inIP6.
	proto uint8
	// ether is the EtherType, for atNet.
	ether uint16
}

type baseKind uint8

const (
	atLink baseKind = iota // the start of the frame
	atNet                  // the header after the link layer
	inIP4                  // the payload of an IPv4 packet, unless a later fragment
	inIP6                  // what follows the fixed IPv6 header
)
