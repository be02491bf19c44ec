package flow

// The limits of what is peeled off around a packet.
const (
	maxVLANs   = 8
	maxTunnels = 8
	maxLabels  = 8
	maxLayers  = 24 // headers of all kinds between the frame and the transport
)

// path is what lies between the frame and the tracked IP header. VLANs and
// tunnels count for the flow's key. Labels are identifiers that each direction
// chooses for itself: they are noted and count for nothing. PPPoE sessions are
// peeled off without trace.
type path struct {
	vlans, tunnels, labels uint8
	keyed                  uint8 // how many of the VLANs count for the key: all, or none
	vlan                   [maxVLANs]uint16
	tunnel                 [maxTunnels]tunnelLayer
	label                  [maxLabels]pathLabel
}

// pathLabel is the identifier of a tunnel layer, or of MPLS before that layer.
type pathLabel struct {
	id    uint32
	layer uint8 // index into path.tunnel
	mpls  bool
}

func (p *path) reset() { p.vlans, p.tunnels, p.labels, p.keyed = 0, 0, 0, 0 }

// addLabel notes an identifier of the tunnel layer that is added next; those
// beyond the limit are left out.
func (p *path) addLabel(id uint32, mpls bool) {
	if p.labels < maxLabels {
		p.label[p.labels] = pathLabel{id, p.tunnels, mpls}
		p.labels++
	}
}

type tunnelKind uint8

const (
	tunnelIPIP tunnelKind = iota + 1
	tunnelGRE
	tunnelERSPAN
	tunnelVXLAN
	tunnelGeneve
	tunnelGTPU
	tunnelTeredo
)

var tunnelNames = [...]string{"", "ipip", "gre", "erspan", "vxlan", "geneve", "gtpu", "teredo"}

// tunnelMPLS is the type of Tunnel under which the labels of MPLS stand.
const tunnelMPLS = "mpls"

func (k tunnelKind) String() string { return tunnelNames[k] }

// tunnelLayer is one layer of encapsulation. id is part of the flow's key and
// is 0 for the kinds whose identifiers differ per direction.
type tunnelLayer struct {
	kind tunnelKind
	id   uint64
}

func (p *path) addVLAN(id uint16) bool {
	if p.vlans == maxVLANs {
		return false
	}
	p.vlan[p.vlans] = id & 0xfff
	p.vlans++
	return true
}

func (p *path) addTunnel(kind tunnelKind, id uint64) bool {
	if p.tunnels == maxTunnels {
		return false
	}
	p.tunnel[p.tunnels] = tunnelLayer{kind, id}
	p.tunnels++
	return true
}
