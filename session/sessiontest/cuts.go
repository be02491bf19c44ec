package sessiontest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// timed returns the stream with the time of each segment set.
func (s Stream) timed() Stream {
	s.Segments = slices.Clone(s.Segments)
	now := base
	for i := range s.Segments {
		if at := &s.Segments[i].Time; *at == 0 {
			*at = now.Add(time.Millisecond)
		}
		now = max(now, s.Segments[i].Time)
	}
	return s
}

// size returns the number of data bytes of both sides.
func (s Stream) size() int {
	n := 0
	for i := range s.Segments {
		n += len(s.Segments[i].Data)
	}
	return n
}

// split returns the segment in two at offset n of its data: what comes before
// the data stays with the first, what comes after it with the second.
func (s Segment) split(n int) (a, b Segment) {
	a, b = s, s
	a.Data, a.Fin, a.Rst = s.Data[:n:n], false, false
	b.Data, b.Gap = s.Data[n:], 0
	return a, b
}

// pieces returns the stream with each segment cut into pieces of next() bytes.
func (s Stream) pieces(next func() int) Stream {
	var list []Segment
	for _, rest := range s.Segments {
		for {
			n := next()
			if n >= len(rest.Data) {
				break
			}
			var first Segment
			first, rest = rest.split(n)
			list = append(list, first)
		}
		list = append(list, rest)
	}
	s.Segments = list
	return s
}

func (s Stream) bytewise() Stream { return s.pieces(func() int { return 1 }) }

// random cuts the stream into pieces, most of them small.
func (s Stream) random(r *rand.Rand) Stream {
	limit := 1 + r.IntN(64)
	return s.pieces(func() int {
		if r.IntN(8) == 0 {
			return 1 + r.IntN(2048)
		}
		return 1 + r.IntN(limit)
	})
}

// cut returns the segments before and after the byte offset n of the stream,
// counted over both sides.
func (s Stream) cut(n int) (before, after []Segment) {
	for i := range s.Segments {
		size := len(s.Segments[i].Data)
		if n < size {
			a, b := s.Segments[i].split(n)
			before = append(slices.Clone(s.Segments[:i]), a)
			return before, append([]Segment{b}, s.Segments[i+1:]...)
		}
		n -= size
	}
	return slices.Clone(s.Segments), nil
}

// cutAt returns the stream with one segment cut in two at the byte offset n.
func (s Stream) cutAt(n int) Stream {
	before, after := s.cut(n)
	s.Segments = append(before, after...)
	return s
}

// prefix returns the first n bytes of the stream.
func (s Stream) prefix(n int) Stream {
	s.Segments, _ = s.cut(n)
	return s
}

// suffix returns the stream without its first n bytes.
func (s Stream) suffix(n int) Stream {
	_, s.Segments = s.cut(n)
	s.Midstream = true
	return s
}

// without returns the stream with up to n bytes of a segment missing from the
// byte offset at on.
func (s Stream) without(at, n int) Stream {
	before, after := s.cut(at)
	if len(after) > 0 {
		n = min(n, len(after[0].Data))
		after[0].Data, after[0].Gap = after[0].Data[n:], n
	}
	s.Segments = append(before, after...)
	return s
}

// merged returns the stream at one time, and the same with as few segments as
// its order of sides allows.
func (s Stream) merged() (instant, merged Stream) {
	instant, merged = s, s
	instant.Segments, merged.Segments = slices.Clone(s.Segments), nil
	for i := range instant.Segments {
		instant.Segments[i].Time = s.Segments[0].Time
	}
	for _, next := range instant.Segments {
		last := len(merged.Segments) - 1
		if last < 0 || merged.Segments[last].Side != next.Side || merged.Segments[last].Fin || merged.Segments[last].Rst || next.Gap != 0 {
			next.Data = slices.Clone(next.Data)
			merged.Segments = append(merged.Segments, next)
			continue
		}
		m := &merged.Segments[last]
		m.Data = append(m.Data, next.Data...)
		m.Fin, m.Rst = next.Fin, next.Rst
	}
	return instant, merged
}

// points returns the byte offsets to try: all of a small stream, else some and
// those beside the ends of segments.
func (s Stream) points(r *rand.Rand) []int {
	size := s.size()
	if size <= maxPoints {
		all := make([]int, size+1)
		for i := range all {
			all[i] = i
		}
		return all
	}
	list, end := []int{0, 1, size - 1, size}, 0
	for i := range s.Segments {
		end += len(s.Segments[i].Data)
		if len(list) < maxPoints/2 {
			list = append(list, max(end-1, 0), end, min(end+1, size))
		}
	}
	for len(list) < maxPoints {
		list = append(list, r.IntN(size))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
