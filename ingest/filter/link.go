package filter

import "fmt"

// Link types (LINKTYPE_ registry of the tcpdump group).
const (
	linkNull       = 0
	linkEthernet   = 1
	linkPPP        = 9
	linkRawBSD     = 12
	linkRawOpenBSD = 14
	linkPPPHDLC    = 50
	linkRaw        = 101
	link80211      = 105
	linkLoop       = 108
	linkSLL        = 113
	linkRadiotap   = 127
	linkIPv4       = 228
	linkIPv6       = 229
	linkSLL2       = 276
)

// layout is what is known of a link type's header.
type layout struct {
	tells tells
	// typeAt is where the EtherType stands, -1 if there is none. A VLAN tag
	// stands at net, with the next EtherType in its second half.
	typeAt int
	// net is where the network header begins.
	net int
	// addresses says that the frame begins with two Ethernet addresses.
	addresses bool
	// radiotap says that the frame begins with a header of radiotap.
	radiotap bool
}

// tells is what tells the network protocol.
type tells uint8

const (
	byEtherType tells = iota
	byVersion         // the first half byte of the IP header
	byFamily          // a BSD address family in either byte order
	byPPP             // the protocol field of PPP
	by80211           // the 802.2 header of a data frame of 802.11
	alwaysIP4
	alwaysIP6
)

// layouts are the link types that can be filtered.
var layouts = map[uint32]layout{
	linkEthernet:   {tells: byEtherType, typeAt: 12, net: 14, addresses: true},
	linkSLL:        {tells: byEtherType, typeAt: 14, net: 16},
	linkSLL2:       {tells: byEtherType, typeAt: 0, net: 20},
	linkRaw:        {tells: byVersion, typeAt: -1},
	linkRawBSD:     {tells: byVersion, typeAt: -1},
	linkRawOpenBSD: {tells: byVersion, typeAt: -1},
	linkNull:       {tells: byFamily, typeAt: -1, net: 4},
	linkLoop:       {tells: byFamily, typeAt: -1, net: 4},
	linkPPP:        {tells: byPPP, typeAt: -1},
	linkPPPHDLC:    {tells: byPPP, typeAt: -1},
	link80211:      {tells: by80211},
	linkRadiotap:   {tells: by80211, radiotap: true},
	linkIPv4:       {tells: alwaysIP4, typeAt: -1},
	linkIPv6:       {tells: alwaysIP6, typeAt: -1},
}

// LinkError says that packets of a link type cannot be filtered.
type LinkError struct{ Link uint32 }

// Error names the link type.
func (e *LinkError) Error() string {
	return fmt.Sprintf("filter: packets of link type %d cannot be filtered", e.Link)
}

// protocol is the network protocol that a block of a program is for.
type protocol uint8

const (
	other protocol = iota
	isIP4
	isIP6
)

// place is where a block of a program finds things.
type place struct {
	layout
	protocol protocol
	// afloat says that the network header stands at no fixed offset: scratch
	// memory holds one, of the last EtherType if there is one, and the network
	// header is so many bytes behind that.
	afloat bool
	behind int
	// live says that the kernel holds the outer tag beside the frame.
	live bool
}
