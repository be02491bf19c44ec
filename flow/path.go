package flow

// The limits of what is peeled off around a packet.
const (
	maxVLANs   = 8
	maxTunnels = 8
	maxLayers  = 24 // headers of all kinds between the frame and the transport
)

// path is what lies between the frame and the tracked IP header and counts for
// the flow's key. MPLS labels and PPPoE sessions are peeled off without trace:
// they differ per direction.
type path struct {
	vlans, tunnels uint8
	vlan           [maxVLANs]uint16
	tunnel         [maxTunnels]tunnelLayer
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

// exportedPath is a path in the form of Info.
type exportedPath struct {
	vlans   []uint16
	tunnels []Tunnel
}

func (p *path) exported() exportedPath {
	e := exportedPath{vlans: append([]uint16(nil), p.vlan[:p.vlans]...)}
	for _, t := range p.tunnel[:p.tunnels] {
		e.tunnels = append(e.tunnels, Tunnel{Type: t.kind.String(), ID: t.id})
	}
	return e
}
