package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"flowscope/cmd/internal/monitor"
	"flowscope/cmd/internal/sandbox"
	"flowscope/config"
)

// confine gives up what is no longer needed now that everything is open.
func (l *live) confine() error {
	if l.Security.Sandbox == config.SandboxOff {
		l.log.Warn("THE SANDBOX IS OFF: this process keeps all its privileges while it reads what strangers send (security.sandbox)")
		return nil
	}
	p := sandbox.Policy{User: l.Security.User, Read: sandbox.ToReadAgain(l.sources.File)}
	for _, file := range l.loginFiles() {
		p.Read = append(p.Read, sandbox.ToReadAgain(file)...)
	}
	if store := l.dest.store(); store != "" {
		p.Write = append(p.Write, store)
	}
	if l.dest.temporary != "" {
		l.log.Warn("the embedded server's store is a temporary one: what is in it is removed at the end (publish.embedded.store)")
		p.RemoveIn = []string{filepath.Dir(l.dest.temporary)}
	}
	report, err := sandbox.Enter(p)
	if err != nil {
		return err
	}
	l.log.Info("confined", "how", report.String())
	if report.Landlock == 0 {
		l.log.Warn("this kernel has no Landlock: files are protected by their permissions only")
	}
	return l.readable()
}

// readable tries what will have to be read again by who the process has become: the
// files of the login, for each connection, and the configuration, when asked.
func (l *live) readable() error {
	for _, file := range l.loginFiles() {
		if err := tryOpen(file); err != nil {
			return fmt.Errorf("the login could not be read again for the next connection: %w: let %s read it, by its owner or its group", err, l.whom())
		}
	}
	if err := tryOpen(l.sources.File); err != nil {
		l.log.Warn("the configuration cannot be read again: SIGHUP will change nothing", "error", err, "wanted", "let "+l.whom()+" read it")
	}
	return nil
}

// whom names who the process has become.
func (l *live) whom() string {
	if l.Security.User == "" {
		return "the user that flowscope runs as"
	}
	return "security.user " + l.Security.User
}

func tryOpen(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return f.Close()
}

// loginFiles are the files that a connection made anew reads again.
func (l *live) loginFiles() (files []string) {
	a := l.Publish.Auth
	if len(l.Publish.Servers) == 0 {
		a = l.Publish.Embedded.Leaf.Auth()
	}
	for _, f := range []string{a.Credentials, a.NKeySeed, a.UserFile, a.TokenFile, a.CA, a.Certificate, a.Key} {
		if f != "" {
			files = append(files, f)
		}
	}
	return files
}

// supervise tells the service manager that the sensor is ready, and then that it
// is alive, which it is while its account can be taken.
func (l *live) supervise(ctx context.Context) {
	l.tell(l.notifier.Ready(l.summary()))
	if l.notifier.Watchdog == 0 {
		return
	}
	ticker := time.NewTicker(l.notifier.Watchdog / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.status()
			l.tell(l.notifier.Alive())
		}
	}
}

func (l *live) summary() string {
	return fmt.Sprintf("capturing on %v", l.Capture.Interfaces)
}

// tell logs what the service manager could not be told.
func (l *live) tell(err error) {
	if err != nil {
		l.log.Warn("the service manager does not hear", "error", err)
	}
}

// offer makes the sensor a NATS service over a connection of its own, as soon as
// the server is there.
func (l *live) offer(ctx context.Context) {
	const again = 5 * time.Second
	for {
		nc, err := l.dest.connect(ctx, serviceConnection)
		if err == nil {
			stop, err := monitor.Offer(nc, l.status)
			if err != nil {
				l.log.Warn("the NATS service is not offered", "error", err)
			}
			<-ctx.Done()
			if stop != nil {
				_ = stop() // the connection ends anyway
			}
			nc.Close()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}
