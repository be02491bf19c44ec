package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Auth is how to log in at a NATS server. At most one of Credentials, NKeySeed,
// UserFile and TokenFile, and a client certificate with or without them, since
// servers use it on a layer of its own. Secrets are in files that only their
// owner may read.
type Auth struct {
	// Credentials is a .creds file. Default "": none.
	Credentials string `yaml:"credentials"`
	// NKeySeed is a file with an nkey seed. Default "": none.
	NKeySeed string `yaml:"nkey_seed"`
	// UserFile is a file of one line, user:password. Default "": none.
	UserFile string `yaml:"user_file"`
	// TokenFile is a file of one line. Default "": none.
	TokenFile string `yaml:"token_file"`
	// CA is a file of PEM certificates that the server's is checked against.
	// Default "": those of the system.
	CA string `yaml:"ca"`
	// Certificate and Key are PEM files of a client certificate. Default "":
	// none.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// TLSFirst begins with TLS, before the server has said anything. Default
	// false.
	TLSFirst bool `yaml:"tls_first"`
}

// Validate checks which options go together; files are read by Connect.
func (a Auth) Validate() error {
	var ways []string
	for _, w := range []struct{ name, value string }{
		{"credentials", a.Credentials},
		{"nkey_seed", a.NKeySeed},
		{"user_file", a.UserFile},
		{"token_file", a.TokenFile},
	} {
		if w.value != "" {
			ways = append(ways, w.name)
		}
	}
	if len(ways) > 1 {
		return fmt.Errorf("auth: %s: want one way to log in", strings.Join(ways, " and "))
	}
	if (a.Certificate == "") != (a.Key == "") {
		return errors.New("auth: certificate and key: want both or none")
	}
	return nil
}

// CheckFiles refuses secrets that are not there or that others may read, and
// certificates that are not there. Each error begins with its key, such as
// "auth.credentials".
func (a Auth) CheckFiles() error { return a.checkFiles("auth") }

func (a Auth) checkFiles(section string) error {
	var errs []error
	for _, f := range []struct {
		key, path string
		check     func(string) error
	}{
		{"credentials", a.Credentials, checkSecret},
		{"nkey_seed", a.NKeySeed, checkSecret},
		{"user_file", a.UserFile, checkSecret},
		{"token_file", a.TokenFile, checkSecret},
		{"ca", a.CA, checkFile},
		{"certificate", a.Certificate, checkFile},
		{"key", a.Key, checkSecret},
	} {
		if err := f.check(f.path); err != nil {
			errs = append(errs, fmt.Errorf("%s.%s: %w", section, f.key, err))
		}
	}
	return errors.Join(errs...)
}

// digest is of what the files hold that are there.
func (a Auth) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, path := range []string{a.Credentials, a.NKeySeed, a.UserFile, a.TokenFile, a.CA, a.Certificate, a.Key} {
		n := int64(-1)
		if f, err := os.Open(path); err == nil {
			n, _ = io.Copy(h, io.LimitReader(f, 1<<20)) // a login is no larger
			f.Close()
		}
		fmt.Fprintf(h, "\n%d\n", n)
	}
	h.Sum(sum[:0])
	return sum
}

// CheckFiles looks at the files that Servers, or the embedded server, take: whether
// they are there, and whether others may read what is secret. Each error begins with
// its key below publish.
func (c Config) CheckFiles() error {
	if len(c.Servers) > 0 {
		return c.Auth.CheckFiles()
	}
	var errs []error
	if err := checkSecret(c.Embedded.UserFile); err != nil {
		errs = append(errs, fmt.Errorf("embedded.user_file: %w", err))
	}
	if len(c.Embedded.Leaf.Servers) > 0 {
		errs = append(errs, c.Embedded.Leaf.Auth().checkFiles("embedded.leaf"))
	}
	return errors.Join(errs...)
}

// options are those of the login. What is wrong with a file later on goes to log.
func (a Auth) options(log *slog.Logger) ([]nats.Option, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := a.checkFiles("publish.auth"); err != nil {
		return nil, err
	}
	var login nats.Option
	var err error
	switch {
	case a.Credentials != "":
		login, err = credentials(log, a.Credentials)
	case a.NKeySeed != "":
		if login, err = nats.NkeyOptionFromSeed(a.NKeySeed); err != nil {
			err = fmt.Errorf("auth: nkey_seed %s: not a file with an nkey seed", a.NKeySeed)
		}
	case a.UserFile != "":
		login, err = userFile(log, a.UserFile)
	case a.TokenFile != "":
		login, err = tokenFile(log, a.TokenFile)
	}
	if err != nil {
		return nil, err
	}
	var opts []nats.Option
	if login != nil {
		opts = append(opts, login)
	}
	if a.CA != "" {
		opts = append(opts, nats.RootCAs(a.CA))
	}
	if a.Certificate != "" {
		opts = append(opts, nats.ClientCert(a.Certificate, a.Key))
	}
	if a.TLSFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts, nil
}

// ReadLogin reads a file of one line, user:password, which others may not read.
func ReadLogin(path string) (user, password string, err error) {
	line, err := readSecret(path)
	if err != nil {
		return "", "", err
	}
	user, password, ok := strings.Cut(line, ":")
	if !ok || user == "" || password == "" || strings.ContainsAny(line, "\r\n") {
		return "", "", fmt.Errorf("auth: %s: want one line, user:password", path)
	}
	return user, password, nil
}

// checkFile refuses a file that is not there.
func checkFile(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder: want a file", path)
	}
	return err
}

// checkSecret refuses files that others may read.
func checkSecret(path string) error {
	if path == "" {
		return nil
	}
	if err := checkFile(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s has mode %04o: others may use it; want 0600 or 0640", path, info.Mode().Perm())
	}
	return nil
}

func readSecret(path string) (string, error) {
	if err := checkSecret(path); err != nil {
		return "", fmt.Errorf("auth: %w", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("auth: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// connectPause is how long Connect waits between two attempts.
const connectPause = 250 * time.Millisecond

// ConnectionOptions are the options that a publisher's connection needs, in
// whichever way it is made: it is re-established for ever, whatever the server
// says, and what cannot be sent is not kept in a hidden buffer, because the
// transport keeps it. Changes of state go to log, and moved is called, one call at a
// time, when the connection is made, is lost, is made again, or is told of servers
// that it may go to.
func ConnectionOptions(sensor string, log *slog.Logger, moved ...func(*nats.Conn)) []nats.Option {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	tell := func(nc *nats.Conn) {
		for _, f := range moved {
			f(nc)
		}
	}
	reports := errorLog{log: log, message: "NATS reports an error"}
	return []nats.Option{
		nats.Name("flowscope/" + sensor),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(connectPause),
		nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(5 * time.Second),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err != nil {
				log.Warn("disconnected from NATS", "error", err)
			}
			tell(nc)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
			tell(nc)
		}),
		nats.ConnectHandler(tell),
		nats.DiscoveredServersHandler(tell),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { reports.tell(err) }),
	}
}

// Connect connects to cfg.Servers. It tries until cfg.ConnectTimeout is over or
// ctx ends; the error then says why the last attempt failed. A refused login is
// not tried again. Of moved see ConnectionOptions.
func Connect(ctx context.Context, cfg Config, sensor string, log *slog.Logger, moved ...func(*nats.Conn)) (*nats.Conn, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("connect to NATS: no servers given")
	}
	login, err := cfg.Auth.options(log)
	if err != nil {
		return nil, err
	}
	urls := strings.Join(cfg.Servers, ",")
	deadline := time.Now().Add(cfg.ConnectTimeout)
	for {
		opts := append(ConnectionOptions(sensor, log, moved...), login...)
		opts = append(opts, nats.Timeout(max(time.Until(deadline), time.Millisecond)))
		nc, err := nats.Connect(urls, opts...)
		if err == nil {
			return nc, nil
		}
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
			time.Until(deadline) < connectPause {
			return nil, fmt.Errorf("connect to %s within %v: %w", urls, cfg.ConnectTimeout, withCause(ctx, cfg.Servers, err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to %s: %w", urls, errors.Join(ctx.Err(), err))
		case <-time.After(connectPause):
		}
	}
}

// causeTimeout bounds how long withCause tries one server.
const causeTimeout = time.Second

// withCause adds to an error that says only that there is no server why the last of
// them cannot be reached, by trying once more: the client keeps that to itself.
func withCause(ctx context.Context, servers []string, err error) error {
	if !errors.Is(err, nats.ErrNoServers) {
		return err
	}
	u, bad := url.Parse(servers[len(servers)-1])
	if bad != nil {
		return err
	}
	port := cmp.Or(u.Port(), map[string]string{"ws": "80", "wss": "443"}[u.Scheme], "4222")
	ctx, cancel := context.WithTimeout(ctx, causeTimeout)
	defer cancel()
	var d net.Dialer
	conn, cause := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	_ = conn.Close() // somebody listens who is no NATS server, or was too slow
	return err
}
