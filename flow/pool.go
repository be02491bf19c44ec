package flow

// pool holds records in slabs, so that growing moves nothing, and finds them by
// references of a kind of their own; 0 refers to none. The records hold no
// pointers.
type pool[T any, R ~uint32] struct {
	slabs [][]T
	free  []R
	used  int // places ever handed out; place 0 stays unused
	bits  uint8
}

// newPool returns a pool that allocates 1<<bits records at once.
func newPool[T any, R ~uint32](bits uint8) pool[T, R] { return pool[T, R]{bits: bits} }

func (p *pool[T, R]) at(r R) *T { return &p.slabs[r>>p.bits][r&(1<<p.bits-1)] }

// take returns the place of a record, as its last user left it.
func (p *pool[T, R]) take() R {
	if n := len(p.free); n > 0 {
		r := p.free[n-1]
		p.free = p.free[:n-1]
		return r
	}
	p.used++
	r := R(p.used)
	if int(r>>p.bits) == len(p.slabs) {
		p.slabs = append(p.slabs, make([]T, 1<<p.bits))
	}
	return r
}

// give takes a record back.
func (p *pool[T, R]) give(r R) { p.free = append(p.free, r) }

// inUse returns how many records are taken.
func (p *pool[T, R]) inUse() int { return p.used - len(p.free) }
