package publish

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// permission is one row of the table in docs/delivery.md.
type permission struct{ account, may, subject string }

func (p permission) String() string { return p.account + " may " + p.may + " " + p.subject }

// documentedPermissions reads that table.
func documentedPermissions(t *testing.T) []permission {
	t.Helper()
	text, err := os.ReadFile("../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, ok := strings.Cut(string(text), "\n## Permissions\n")
	if !ok {
		t.Fatal("docs/delivery.md says nothing of permissions")
	}
	text2, _, _ = strings.Cut(text2, "\n## ")
	var all []permission
	for _, row := range regexp.MustCompile("(?m)^\\| ([a-z ]+) \\| (publish|subscribe) \\| `([^`]+)` \\|").FindAllStringSubmatch(text2, -1) {
		all = append(all, permission{row[1], row[2], row[3]})
	}
	if len(all) < 14 {
		t.Fatalf("the table has %d rows", len(all))
	}
	return all
}

// permitted returns those of some accounts, without some subjects of theirs.
func permitted(all []permission, accounts []string, without ...permission) *server.Permissions {
	p := &server.Permissions{Publish: &server.SubjectPermission{}, Subscribe: &server.SubjectPermission{}}
	for _, row := range all {
		if !slices.Contains(accounts, row.account) || slices.Contains(without, row) {
			continue
		}
		if row.may == "publish" {
			p.Publish.Allow = append(p.Publish.Allow, row.subject)
		} else {
			p.Subscribe.Allow = append(p.Subscribe.Allow, row.subject)
		}
	}
	if len(p.Publish.Allow) == 0 {
		p.Publish.Deny = []string{">"}
	}
	if len(p.Subscribe.Allow) == 0 {
		p.Subscribe.Deny = []string{">"}
	}
	return p
}

// startRestricted starts a server with an account's permissions, and returns a
// connection with them and one that may do everything.
func startRestricted(t *testing.T, p *server.Permissions) (nc, admin *nats.Conn) {
	t.Helper()
	srv := serverWith(t, "", func(o *server.Options) {
		o.JetStream, o.StoreDir = true, t.TempDir()
		o.Users = []*server.User{{Username: "admin", Password: "a"}, {Username: "restricted", Password: "r", Permissions: p}}
	})
	as := func(user, password string) *nats.Conn {
		nc, err := nats.Connect("", append(ConnectionOptions("test", nil), nats.InProcessServer(srv), nats.UserInfo(user, password))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	return as("restricted", "r"), as("admin", "a")
}

// sensorWays are what a sensor may be configured for.
var sensorWays = []struct {
	name   string
	mode   string
	batch  int
	stream string
}{
	{"verify", ModeJetStream, 0, StreamVerify},
	{"create", ModeJetStream, 0, StreamCreate},
	{"off", ModeJetStream, 0, StreamOff},
	{"fast, verify", ModeFast, 0, StreamVerify},
	{"fast, create", ModeFast, 0, StreamCreate},
	{"batched, verify", ModeJetStream, 4096, StreamVerify},
	{"fast and batched, create", ModeFast, 4096, StreamCreate},
	{"core", ModeCore, 0, StreamOff},
}

// restrictedSensor publishes events with an account's permissions; the error is
// the one that a replay ends with, after so long without an answer.
func restrictedSensor(t *testing.T, p *server.Permissions, mode string, batch int, stream string, patience time.Duration) (*Ledger, error) {
	t.Helper()
	nc, admin := startRestricted(t, p)
	cfg := DefaultConfig()
	cfg.Mode, cfg.BatchBytes, cfg.Stream.Mode = mode, batch, stream
	cfg.AckTimeout, cfg.StallTimeout = 300*time.Millisecond, patience
	if stream != StreamCreate {
		js, err := jetstream.New(admin)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), streamConfig(cfg.Resolved())); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tr, err := NewJetStream(ctx, nc, cfg)
	if err != nil {
		return nil, err
	}
	reg := deliveryRegistry(t)
	run := runPublisher(t, cfg, Options{Registry: reg}, tr)
	sink, m := run.Sink(0), newMaker(reg, 1)
	for range 100 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	err = run.Close(within(t, patience+10*time.Second))
	checkBalance(t, run.Ledger())
	return run.Ledger(), err
}

// With what docs/delivery.md lists, a sensor delivers in every way.
func TestPermissionsOfASensor(t *testing.T) {
	all := documentedPermissions(t)
	for _, w := range sensorWays {
		t.Run(w.name, func(t *testing.T) {
			l, err := restrictedSensor(t, permitted(all, []string{"sensor"}), w.mode, w.batch, w.stream, 30*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if n := l.Events.Acknowledged + l.Events.Sent; n != 100 {
				t.Errorf("%+v, want 100 acknowledged or sent", l.Events)
			}
		})
	}
	t.Run("read back", func(t *testing.T) {
		nc, admin := startRestricted(t, permitted(all, []string{"sensor"}))
		p, stored := outage(t, nc, admin, 3, false)
		if e := p.Ledger().Events; stored != 150 || e.PossiblyDoubled != 0 || e.Resent != 3 {
			t.Errorf("stored %d, want 150; %+v", stored, e)
		}
	})
}

// Without any one of them it says which one is missing, or counts.
func TestPermissionsThatASensorLacks(t *testing.T) {
	all := documentedPermissions(t)
	tested := 0
	for _, row := range all {
		if row.account != "sensor" {
			continue
		}
		tested++
		t.Run(row.subject, func(t *testing.T) {
			t.Parallel()
			p := permitted(all, []string{"sensor"}, row)
			if strings.Contains(row.subject, "CONSUMER") {
				nc, admin := startRestricted(t, p)
				run, stored := outage(t, nc, admin, 0, false)
				if e := run.Ledger().Events; stored != 250 || e.PossiblyDoubled != 100 {
					t.Errorf("stored %d, want 250; %+v, want 100 possibly doubled", stored, e)
				}
				return
			}
			l, err := restrictedSensor(t, p, ModeJetStream, 0, StreamCreate, 3*time.Second)
			saysWhat(t, err, row)
			if l != nil && (l.Events.Acknowledged != 0 || l.Events.Pending != 100) {
				t.Errorf("%+v, want 100 pending", l.Events)
			}
		})
	}
	if tested != 6 {
		t.Errorf("%d permissions of a sensor are documented, want 6", tested)
	}
}

// saysWhat wants an error that names the permission that is missing.
func saysWhat(t *testing.T, err error, row permission) {
	t.Helper()
	if err == nil {
		t.Fatalf("all is well without: %v", row)
	}
	subject := strings.TrimSuffix(row.subject, ">")
	for _, want := range []string{"permissions violation", `"` + subject} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

// restrictedConsumer reads a stream of three messages with an account's
// permissions.
func restrictedConsumer(t *testing.T, p *server.Permissions, durable string) error {
	t.Helper()
	nc, admin := startRestricted(t, p)
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), streamConfig(DefaultConfig().Resolved())); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "flowscope.dns.query", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n := 0
	for _, err := range Subscribe(ctx, nc, SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: durable, UntilCaughtUp: true}) {
		if err != nil {
			return err
		}
		n++
	}
	if n != 3 {
		return fmt.Errorf("%d messages, want 3: %w", n, ctx.Err())
	}
	return nil
}

func TestPermissionsOfAConsumer(t *testing.T) {
	all := documentedPermissions(t)
	t.Run("ordered", func(t *testing.T) {
		if err := restrictedConsumer(t, permitted(all, []string{"consumer"}), ""); err != nil {
			t.Error(err)
		}
	})
	both := []string{"consumer", "durable consumer"}
	t.Run("durable", func(t *testing.T) {
		if err := restrictedConsumer(t, permitted(all, both), "d"); err != nil {
			t.Error(err)
		}
	})
	t.Run("subscriber", func(t *testing.T) {
		nc, admin := startRestricted(t, permitted(all, []string{"subscriber"}))
		sub, err := nc.SubscribeSync("flowscope.>")
		if err == nil {
			err = nc.Flush()
		}
		if err == nil {
			err = admin.Publish("flowscope.dns.query", nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sub.NextMsg(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	for _, row := range all {
		if slices.Contains(both, row.account) {
			t.Run("without "+row.subject, func(t *testing.T) {
				t.Parallel()
				saysWhat(t, restrictedConsumer(t, permitted(all, both, row), "d"), row)
			})
			if row.account == "consumer" {
				t.Run("ordered without "+row.subject, func(t *testing.T) {
					t.Parallel()
					saysWhat(t, restrictedConsumer(t, permitted(all, both, row), ""), row)
				})
			}
		}
	}
}
