package flow

// extra is what is known of a flow beside its record and does not stand in the
// key's scope: the few flows that have it keep it in Table.extra.
type extra struct {
	vlans   []uint16
	tunnels []Tunnel
	// quoted is what the flow's first ICMP error quotes, nil if it is none;
	// latest that of the last one.
	quoted, latest *Quoted
}

// newExtra takes down the path of a flow's first packet.
func newExtra(p *path) *extra {
	x := &extra{vlans: append([]uint16(nil), p.vlan[:p.vlans]...)}
	for i := range p.tunnel[:p.tunnels] {
		t := &p.tunnel[i]
		x.tunnels = append(x.tunnels, Tunnel{Type: t.kind.String(), ID: t.id})
	}
	return x
}

// addLabels takes down the identifiers of one side, once. A stack of MPLS labels
// is a layer of its own, which the other direction may lack.
func (x *extra) addLabels(p *path, side Side) {
	at := 0 // in x.tunnels
	layer := 0
	for _, l := range p.label[:p.labels] {
		// Pass the layers outside of the label's.
		for layer < int(l.layer) && at < len(x.tunnels) {
			if x.tunnels[at].Type != tunnelMPLS {
				layer++
			}
			at++
		}
		switch {
		case l.mpls:
			if at == len(x.tunnels) || x.tunnels[at].Type != tunnelMPLS {
				x.tunnels = append(x.tunnels, Tunnel{})
				copy(x.tunnels[at+1:], x.tunnels[at:])
				x.tunnels[at] = Tunnel{Type: tunnelMPLS}
			}
		case at < len(x.tunnels) && x.tunnels[at].Type == tunnelMPLS:
			at++
		}
		if at < len(x.tunnels) {
			t := &x.tunnels[at]
			t.SideIDs[side] = append(t.SideIDs[side], l.id)
		}
	}
}
