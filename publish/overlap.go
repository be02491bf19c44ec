package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// listWait is how long the server may take to list streams.
	listWait = 2 * time.Second
	// maxOthers bounds how many streams, and subjects of each, an error names.
	maxOthers = 4
)

// overlaps says that the server has not made a stream because of another one's subjects
// (error 10065 of JetStream).
func overlaps(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == 10065
}

// otherStream is a stream that takes some of our subjects.
type otherStream struct {
	name     string
	subjects []string
}

// blocked names the streams that are in the way of one that is missing, and what would
// help instead of making it. Where there are none, or they cannot be listed, the error is
// as before.
func (t *jetStream) blocked(ctx context.Context, js jetstream.JetStream, err error) error {
	var wrong *StreamError
	if !errors.As(err, &wrong) || !wrong.missing || t.unlisted {
		return err
	}
	want := StreamSubject(t.cfg.Prefix)
	var others []otherStream
	failed := request(ctx, t.nc, listWait, func(ctx context.Context) error {
		list := js.ListStreams(ctx, jetstream.WithStreamListSubject(want))
		for info := range list.Info() {
			others = append(others, otherStream{info.Config.Name, info.Config.Subjects})
		}
		return list.Err()
	})
	// Without the permission it is not asked for again, each second, in the server's log.
	t.unlisted = errors.Is(failed, nats.ErrPermissionViolation)
	if failed != nil || len(others) == 0 {
		return err
	}
	slices.SortFunc(others, func(a, b otherStream) int { return strings.Compare(a.name, b.name) })
	return besides(wrong, others, want)
}

// besides is the error of a stream that cannot be made beside others.
func besides(wrong *StreamError, others []otherStream, want string) *StreamError {
	var names []string
	for _, o := range others[:min(len(others), maxOthers)] {
		names = append(names, fmt.Sprintf("%s, which takes %s", o.name, shortList(inTheWay(o.subjects, want))))
	}
	e := *wrong
	e.Command = ""
	e.Problem = fmt.Sprintf("does not exist, and %s cannot be taken beside stream %s", want, strings.Join(names, ", and "))
	if n := len(others) - len(names); n > 0 {
		e.Problem += fmt.Sprintf(", and %d more", n)
	}
	all, extensible := withSubject(others[0].subjects, want)
	switch {
	case covers(others[0].subjects, want):
		e.Command = "publish.stream.name: " + others[0].name
	case len(others) == 1 && extensible:
		e.Command = fmt.Sprintf("nats stream edit %s --subjects '%s', and publish.stream.name: %[1]s", others[0].name, strings.Join(all, ","))
	default:
		e.Problem += "; want another publish.prefix, or other subjects there"
	}
	return &e
}

// inTheWay are the patterns that overlap with one.
func inTheWay(patterns []string, with string) (some []string) {
	for _, p := range patterns {
		if overlap(strings.Split(p, "."), strings.Split(with, ".")) {
			some = append(some, p)
		}
	}
	return some
}

func shortList(list []string) string {
	if len(list) > maxOthers {
		return strings.Join(list[:maxOthers], " ") + " …"
	}
	return strings.Join(list, " ")
}
