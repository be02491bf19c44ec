package top

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flowscope/cmd/internal/monitor"
	"flowscope/cmd/internal/status"
	"flowscope/publish"
)

// permission is one row of the table in docs/delivery.md.
type permission struct{ account, may, what string }

func (p permission) String() string { return p.account + " may " + p.may + " " + p.what }

// documentedPermissions reads those of the service and of top.
func documentedPermissions(t *testing.T) []permission {
	t.Helper()
	text, err := os.ReadFile("../../../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []permission
	for _, row := range regexp.MustCompile("(?m)^\\| (service|top) \\| ([a-z]+) \\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		all = append(all, permission{row[1], row[2], row[3]})
	}
	if len(all) != 5 {
		t.Fatalf("the table has %d rows of the service and of top, want 5", len(all))
	}
	return all
}

// permitted returns those of one account, without one of them.
func permitted(t *testing.T, all []permission, account string, without permission) *server.Permissions {
	t.Helper()
	publish, subscribe := []string{}, []string{}
	var p server.Permissions
	for _, row := range all {
		if row.account != account || row == without {
			continue
		}
		switch row.may {
		case "publish":
			publish = append(publish, row.what)
		case "subscribe":
			subscribe = append(subscribe, row.what)
		case "answer":
			p.Response = &server.ResponsePermission{MaxMsgs: server.DEFAULT_ALLOW_RESPONSE_MAX_MSGS, Expires: server.DEFAULT_ALLOW_RESPONSE_EXPIRATION}
		default:
			t.Fatalf("%v: what is that?", row)
		}
	}
	p.Publish, p.Subscribe = only(publish), only(subscribe)
	return &p
}

// only allows some subjects, and no others even if it is none.
func only(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return &server.SubjectPermission{Deny: []string{">"}}
	}
	return &server.SubjectPermission{Allow: subjects}
}

// fleet is a server with one sensor's service and somebody who asks it.
type fleet struct {
	service, top, admin *nats.Conn
	log                 *refusals
}

// refusals are what the server refuses the service.
type refusals struct {
	mu   sync.Mutex
	text string
}

func (r *refusals) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text += err.Error() + "\n"
}

func (r *refusals) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text
}

func startFleet(t *testing.T, all []permission, without permission) *fleet {
	t.Helper()
	srv, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true, Users: []*server.User{
		{Username: "admin", Password: "x"},
		{Username: "service", Password: "x", Permissions: permitted(t, all, "service", without)},
		{Username: "top", Password: "x", Permissions: permitted(t, all, "top", without)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	f := &fleet{log: &refusals{}}
	as := func(user string) *nats.Conn {
		options := append(publish.ConnectionOptions("test", nil), nats.InProcessServer(srv), nats.UserInfo(user, "x"))
		if user == "service" {
			options = append(options, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { f.log.add(err) }))
		}
		nc, err := nats.Connect("", options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	f.service, f.top, f.admin = as("service"), as("top"), as("admin")
	stop, err := monitor.Offer(f.service, func() *status.Status { return told("edge-1", 1) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() }) // a subscription that was refused cannot be drained
	if err := f.service.Flush(); err != nil {
		t.Fatal(err)
	}
	return f
}

// wait is enough for an answer within one process.
const wait = 2 * time.Second

// asked is how many sensors top sees.
func (f *fleet) asked(t *testing.T) (int, error) {
	t.Helper()
	list, err := (&Fleet{Conn: f.top, Wait: wait}).Ask(t.Context())
	return len(list), err
}

// found says whether the sensor answers to the verbs of NATS services.
func (f *fleet) found(t *testing.T) bool {
	t.Helper()
	answers := 0
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		subject, err := micro.ControlSubject(verb, monitor.ServiceName, "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		if m, err := f.admin.RequestWithContext(ctx, subject, nil); err == nil && len(m.Data) > 0 {
			answers++
		}
		cancel()
	}
	if answers != 0 && answers != 3 {
		t.Errorf("%d of 3 verbs are answered", answers)
	}
	return answers == 3
}

// With what docs/delivery.md lists a sensor is found in both ways; each permission
// is needed for what the table says, and for nothing else.
func TestPermissions(t *testing.T) {
	all := documentedPermissions(t)
	subjects := func(account, may string) (list []string) {
		for _, row := range all {
			if row.account == account && row.may == may {
				list = append(list, row.what)
			}
		}
		return list
	}
	if !slices.Contains(subjects("service", "subscribe"), monitor.StatusSubject) {
		t.Errorf("the table does not say that the service subscribes to %s", monitor.StatusSubject)
	}
	for _, without := range append([]permission{{}}, all...) {
		shown, found, refused, told := true, true, "", ""
		switch without {
		case permission{}:
		case permission{"service", "subscribe", "$SRV.>"}:
			found, refused = false, "$SRV."
		case permission{"service", "subscribe", "flowscope_status"}:
			shown, refused = false, "flowscope_status"
		case permission{"service", "answer", "allow_responses"}:
			shown, found, refused = false, false, "_INBOX."
		case permission{"top", "publish", "flowscope_status"}:
			shown, told = false, "flowscope_status"
		case permission{"top", "subscribe", "_INBOX.>"}:
			shown, told = false, "_INBOX."
		default:
			t.Fatalf("%v: its consequence is not tested", without)
		}
		t.Run(fmt.Sprint("without ", without), func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, all, without)
			n, err := f.asked(t)
			if (n == 1) != shown || n > 1 {
				t.Errorf("top sees %d sensors, %v; want one to be seen: %v", n, err, shown)
			}
			if got := f.found(t); got != found {
				t.Errorf("found as a service: %v, want %v", got, found)
			}
			if told == "" && err != nil || told != "" && (err == nil || !strings.Contains(err.Error(), told)) {
				t.Errorf("top says %v, want %q", err, told)
			}
			if log := f.log.String(); refused == "" && log != "" || !strings.Contains(log, refused) {
				t.Errorf("the sensor's log has %q, want %q", log, refused)
			}
		})
	}
}
