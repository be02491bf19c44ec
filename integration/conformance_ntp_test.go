package integration

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"flowscope/flow"
	"flowscope/parsers/ntp"
	"flowscope/session"
)

// ntpHeader returns what most modes have in common, nil for other messages.
func ntpHeader(m session.Message) *ntp.Message {
	switch m := m.(type) {
	case *ntp.Client:
		return &m.Message
	case *ntp.Server:
		return &m.Message
	case *ntp.SymmetricActive:
		return &m.Message
	case *ntp.SymmetricPassive:
		return &m.Message
	case *ntp.Broadcast:
		return &m.Message
	case *ntp.Reserved:
		return &m.Message
	}
	return nil
}

// judgeZeekNTP judges a line of Zeek's ntp.log: a message.
func judgeZeekNTP(e *evidence, f *fact) verdict {
	a, ok1 := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	b, ok2 := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	if !ok1 || !ok2 {
		return missing("endpoints that cannot be read")
	}
	kinds := map[string]string{"1": "symmetric_active", "2": "symmetric_passive", "3": "client", "4": "server", "5": "broadcast"}
	var candidates []differences
	for _, r := range e.rec.flows {
		if !samePair(r, flow.UDP, a, b) {
			continue
		}
		for _, ev := range r.events {
			m := ntpHeader(ev.Message)
			if m == nil || ev.Kind != kinds[f.str("mode")] {
				continue
			}
			d := zeekNTPDifferences(m, f)
			if len(d) == 0 && e.claim(f, ev) {
				return found
			}
			candidates = append(candidates, d)
		}
	}
	return fewest(candidates, "no such message")
}

func zeekNTPDifferences(m *ntp.Message, f *fact) (d differences) {
	d.check("version", strconv.Itoa(int(m.Version)), f.str("version"))
	d.check("stratum", strconv.Itoa(int(m.Stratum)), f.str("stratum"))
	d.check("ref_id", m.ReferenceID, strings.ReplaceAll(f.str("ref_id"), `\x00`, "")) // padding
	d.check("poll", fmt.Sprintf("%.6f", math.Exp2(float64(m.Poll))), f.str("poll"))
	d.check("precision", fmt.Sprintf("%.6f", math.Exp2(float64(m.Precision))), f.str("precision"))
	d.check("root_delay", fmt.Sprintf("%.6f", float64(m.RootDelay)/1e9), f.str("root_delay"))
	d.check("root_disp", fmt.Sprintf("%.6f", float64(m.RootDispersion)/1e9), f.str("root_disp"))
	d.check("num_exts", strconv.Itoa(len(m.Extensions)), f.str("num_exts"))
	for _, t := range []struct {
		key string
		at  time.Time
	}{{"ref_time", m.ReferenceTime}, {"org_time", m.OriginTime}, {"rec_time", m.ReceiveTime}, {"xmt_time", m.TransmitTime}} {
		// Zeek computes in doubles, which at this distance from 1970 are a
		// quarter of a microsecond apart.
		if off := t.at.UnixNano() - 1000*microseconds(f.str(t.key)); off < -1500 || off > 1500 {
			d.check(t.key, t.at.UnixNano(), f.str(t.key))
		}
	}
	return d
}

// judgeArkimeNTP judges what Arkime says of a session: sets of values over all
// of its messages.
func judgeArkimeNTP(e *evidence, f *fact) verdict {
	src, ok1 := endpoint(f.str("src"), f.str("sport"))
	dst, ok2 := endpoint(f.str("dst"), f.str("dport"))
	if !ok1 || !ok2 {
		return missing("addresses that cannot be read")
	}
	got := map[string][]string{}
	add := func(key, value string) {
		if !slices.Contains(got[key], value) {
			got[key] = append(got[key], value)
		}
	}
	initiator := netip.AddrPort{}
	for _, r := range e.rec.flows {
		if !samePair(r, flow.UDP, src, dst) {
			continue
		}
		initiator = r.info.Src
		for _, ev := range r.events {
			if m := ntpHeader(ev.Message); m != nil {
				add("mode", ev.Kind)
				add("version", strconv.Itoa(int(m.Version)))
				if m.Stratum >= 2 && m.Stratum <= 15 {
					add("stratum", "secondary")
				}
				if a, err := netip.ParseAddr(m.ReferenceID); err == nil {
					add("refId", hex.EncodeToString(a.AsSlice()))
				}
			}
		}
	}
	values, _ := f.F["v"].(map[string]any)
	var d differences
	d.check("initiator", initiator, src)
	for _, key := range []string{"mode", "version", "stratum", "refId"} {
		var want []string
		list, _ := values[key].([]any)
		for _, v := range list {
			want = append(want, asText(v))
		}
		slices.Sort(want)
		slices.Sort(got[key])
		d.check(key, got[key], want)
	}
	return verdict{problems: d}
}
