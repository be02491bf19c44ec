package publish

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The bounds of an audit.
const (
	// maxAuditRows is how many combinations of run, worker and subject are told
	// apart.
	maxAuditRows = 1 << 20
	// maxAuditRanges is how many holes and doubled runs of numbers are listed
	// per row, maxAuditIDs how many doubled ids in all; more are counted only.
	maxAuditRanges = 20
	maxAuditIDs    = 100
)

// Range is a run of numbers, both ends included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// AuditRow says what a stream holds of one run, worker and subject.
type AuditRow struct {
	Run     string `json:"run"`
	Worker  int    `json:"worker"`
	Subject string `json:"subject"`
	// Stored counts the events, doubled ones too; First and Last are the
	// smallest and the largest number.
	Stored uint64 `json:"stored"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	// Missing and Doubled count events, and list the numbers of the first ones.
	Missing       uint64  `json:"missing"`
	MissingRanges []Range `json:"missing_ranges,omitempty"`
	Doubled       uint64  `json:"doubled"`
	DoubledRanges []Range `json:"doubled_ranges,omitempty"`
	// Elsewhere counts numbers that are not missing because the stream had their events
	// already, from another run. Which they are is not known: where some are missing,
	// MissingRanges lists them, too.
	Elsewhere uint64 `json:"elsewhere,omitempty"`
}

// AuditRun compares a run with what its sensor said last.
type AuditRun struct {
	Run string `json:"run"`
	// Settled says that the numbers are those of a ledger without anything
	// pending, not of the last heartbeat but one.
	Settled bool `json:"settled"`
	// Short counts the events per subject that the sensor has numbered and that
	// the stream does not hold at its end.
	Short map[string]uint64 `json:"short,omitempty"`
	// Elsewhere counts the run's events that the stream had already.
	Elsewhere uint64 `json:"elsewhere,omitempty"`
	// DuplicatesUnknown says that the sensor is not told of those, by its way of
	// sending: they count as missing.
	DuplicatesUnknown bool `json:"duplicates_unknown,omitempty"`
}

// AuditReport is what an audit finds.
type AuditReport struct {
	Messages uint64 `json:"messages"`
	Events   uint64 `json:"events"`
	// Whole says that the audit begins with the stream's first message, of which
	// nothing was removed since. If not, what was stored before is not known.
	Whole bool       `json:"whole"`
	Rows  []AuditRow `json:"rows"`
	Runs  []AuditRun `json:"runs"`
	// DoubledIDs counts ids that are stored more than once; IDs are the first.
	DoubledIDs uint64   `json:"doubled_ids"`
	IDs        []string `json:"ids,omitempty"`
	// Unreadable counts messages without the headers or the payload of events.
	Unreadable uint64 `json:"unreadable"`
}

// Clean says that nothing is missing or doubled.
func (r *AuditReport) Clean() bool {
	for i := range r.Rows {
		if r.Rows[i].Missing > 0 || r.Rows[i].Doubled > 0 {
			return false
		}
	}
	for i := range r.Runs {
		if len(r.Runs[i].Short) > 0 {
			return false
		}
	}
	return r.DoubledIDs == 0 && r.Unreadable == 0
}

// Audit reads a stream up to what is stored now and says which numbers
// (Flowscope-Seq) and ids are missing or doubled. Numbers before a worker's first
// stored one count as missing only if the audit begins at the stream's start and
// nothing was removed there, and so do all numbers of a worker of which nothing is
// stored. It takes 8 bytes of memory per event. sensors are the subjects of
// sensor.heartbeat and sensor.ledger; they tell how far the numbers must go, and how
// many events the stream had already, from another run.
func Audit(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig, sensors []string) (*AuditReport, error) {
	cfg.UntilCaughtUp, cfg.Durable = true, ""
	a := &auditor{subjects: cfg.Subjects, rows: map[auditKey]*auditRow{}, seed: maphash.MakeSeed()}
	told := cfg
	told.Subjects, told.Count = sensors, 0
	said := sayings{}
	for d, err := range Subscribe(ctx, nc, told) {
		if err != nil {
			return nil, err
		}
		said.add(d)
	}
	for d, err := range Subscribe(ctx, nc, cfg) {
		if err != nil {
			return nil, err
		}
		a.add(d)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var err error // asked at the end: a stream at its limits loses its start meanwhile
	if a.whole, err = fromItsStart(ctx, nc, cfg); err != nil {
		return nil, err
	}
	r := a.report(said)
	doubled := a.doubledHashes()
	if r.DoubledIDs = uint64(len(doubled)); r.DoubledIDs == 0 {
		return r, nil
	}
	// Only the second reading knows the names.
	for d, err := range Subscribe(ctx, nc, cfg) {
		if err != nil {
			return nil, err
		}
		for id := range idsIn(d.Payload) {
			if h := maphash.Bytes(a.seed, id); doubled[h] && len(r.IDs) < maxAuditIDs {
				r.IDs = append(r.IDs, string(id))
				delete(doubled, h)
			}
		}
	}
	slices.Sort(r.IDs)
	return r, ctx.Err()
}

// fromItsStart says whether the audit has seen the stream from its very first message
// on. A limit for each subject removes messages in between.
func fromItsStart(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) (whole bool, err error) {
	if cfg.From != FromStart {
		return false, nil
	}
	stream, err := FindStream(ctx, nc, cfg)
	if err != nil {
		return false, err
	}
	info := stream.CachedInfo()
	c := &info.Config
	return info.State.FirstSeq <= 1 && c.MaxMsgsPerSubject <= 0 && c.Retention == jetstream.LimitsPolicy, nil
}

type auditKey struct {
	run     string
	worker  int
	subject string
}

type auditRow struct {
	stored uint64
	have   []Range // in order, apart from each other
	twice  []Range
	more   uint64 // doubled
}

type auditor struct {
	subjects   []string
	whole      bool
	rows       map[auditKey]*auditRow
	seed       maphash.Seed
	hashes     []uint64 // of ids
	messages   uint64
	events     uint64
	unreadable uint64
}

func (a *auditor) add(d *Delivery) {
	a.messages++
	key, n, err := parseSeq(d)
	if err != nil {
		a.unreadable++
		return
	}
	count := uint64(0)
	for id := range idsIn(d.Payload) {
		if id == nil {
			a.unreadable++
			return
		}
		a.hashes = append(a.hashes, maphash.Bytes(a.seed, id))
		count++
	}
	if count == 0 || n+count < n {
		a.unreadable++
		return
	}
	a.events += count
	row := a.rows[key]
	if row == nil {
		if len(a.rows) == maxAuditRows {
			a.unreadable++
			return
		}
		row = &auditRow{}
		a.rows[key] = row
	}
	row.add(Range{n, n + count - 1})
}

// parseSeq reads Flowscope-Seq; a run may hold dots.
func parseSeq(d *Delivery) (key auditKey, n uint64, err error) {
	var text string
	if v := d.Header[SeqHeader]; len(v) == 1 {
		text = v[0]
	}
	j := strings.LastIndexByte(text, '.')
	if j < 0 {
		return key, 0, errors.New("no number")
	}
	i := strings.LastIndexByte(text[:j], '.')
	if i < 0 {
		return key, 0, errors.New("no worker")
	}
	worker, err := strconv.ParseUint(text[i+1:j], 10, 31)
	if err != nil {
		return key, 0, err
	}
	if n, err = strconv.ParseUint(text[j+1:], 10, 64); err == nil && n == 0 {
		err = errors.New("numbers begin with 1")
	}
	return auditKey{text[:i], int(worker), d.Subject}, n, err
}

// idsIn calls the loop with the id of each event in a payload, borrowed; with nil
// when what comes is no event, and not again.
func idsIn(payload []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for one, err := range Payloads(payload) {
			var id []byte
			if err == nil {
				id = idOf(one)
			}
			if !yield(id) || id == nil {
				return
			}
		}
	}
}

// idOf returns the id of one event, borrowed, or nil.
func idOf(payload []byte) []byte {
	r := reader{b: payload}
	var head value
	if r.next(&head) != nil || head.format != mapFormat {
		return nil
	}
	for range head.n {
		var key, v value
		if r.next(&key) != nil || key.format != strFormat {
			return nil
		}
		if string(key.data) == "id" {
			if r.next(&v) != nil || v.format != strFormat || len(v.data) == 0 {
				return nil
			}
			return v.data
		}
		if r.skip() != nil {
			return nil
		}
	}
	return nil
}

// add takes a run of numbers, which mostly follows the one before.
func (row *auditRow) add(r Range) {
	row.stored += r.Last - r.First + 1
	have := row.have
	if n := len(have); n == 0 || have[n-1].Last < r.First {
		if n > 0 && have[n-1].Last+1 == r.First {
			have[n-1].Last = r.Last
			return
		}
		row.have = append(have, r)
		return
	}
	// The ranges that it overlaps or touches become one with it.
	i, _ := slices.BinarySearchFunc(have, r.First, func(h Range, first uint64) int {
		if h.Last+1 < first {
			return -1
		}
		return 1
	})
	j := i
	whole := r
	for ; j < len(have) && have[j].First <= r.Last+1; j++ {
		if lo, hi := max(have[j].First, r.First), min(have[j].Last, r.Last); lo <= hi {
			row.more += hi - lo + 1
			if len(row.twice) < maxAuditRanges {
				row.twice = append(row.twice, Range{lo, hi})
			}
		}
		whole = Range{min(whole.First, have[j].First), max(whole.Last, have[j].Last)}
	}
	row.have = slices.Replace(have, i, j, whole)
}

func (row *auditRow) first() uint64 { return row.have[0].First }
func (row *auditRow) last() uint64  { return row.have[len(row.have)-1].Last }

// missing returns the holes between from and the last number.
func (row *auditRow) missing(from uint64) (n uint64, holes []Range) {
	next := from
	for _, h := range row.have {
		if h.First > next {
			n += h.First - next
			if len(holes) < maxAuditRanges {
				holes = append(holes, Range{next, h.First - 1})
			}
		}
		next = h.Last + 1
	}
	return n, holes
}

// doubledHashes returns what stands twice among the hashes of ids.
func (a *auditor) doubledHashes() map[uint64]bool {
	slices.Sort(a.hashes)
	doubled := map[uint64]bool{}
	for i := 1; i < len(a.hashes); i++ {
		if a.hashes[i] == a.hashes[i-1] {
			doubled[a.hashes[i]] = true
		}
	}
	return doubled
}
