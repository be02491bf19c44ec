package cmd

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"flowscope/cmd/internal/systemd"
	"flowscope/config"
)

// reloads reads the configuration again at each signal, until ctx ends.
func (l *live) reloads(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		l.tell(l.notifier.Reloading(systemd.Monotonic()))
		l.reload(ctx)
		l.tell(l.notifier.Ready(l.summary()))
	}
}

// reload takes up what can change without opening anything again, says what
// cannot, and keeps everything as it is if the new configuration is wrong. Files
// of the login are read again in any case.
func (l *live) reload(ctx context.Context) {
	loaded, err := config.Load(l.sources)
	if err != nil {
		l.log.Error("the new configuration is wrong, the old one stays", "error", err)
		return
	}
	var now, restart []string
	for _, key := range config.Changed(l.loaded, loaded) {
		if config.Reloadable(key) {
			now = append(now, key)
		} else {
			restart = append(restart, key)
		}
	}
	if err := l.refilter(ctx, &loaded.Capture); err != nil {
		l.log.Error("the new configuration cannot be taken up, the old one stays", "error", err)
		return
	}
	config.Adopt(l.loaded, loaded, now)
	if err := errors.Join(l.takeUp(ctx, now), l.publisher.Reload()); err != nil {
		l.log.Error("cannot take up a part of the new configuration", "error", err)
	}
	l.log.Info("configuration reloaded", "changed", strings.Join(now, " "), "needs_restart", strings.Join(restart, " "))
}

// takeUp has the stages take up what has changed under these keys.
func (l *live) takeUp(ctx context.Context, changed []string) error {
	c := l.loaded
	errs := []error{l.publisher.Reconfigure(c.Publish)}
	if slices.ContainsFunc(changed, ofWorkers) {
		registry, err := c.WholeRegistry()
		if err == nil {
			err = l.pipeline.Reconfigure(ctx, c.Flow, c.Session, registry)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ofWorkers says whether a key concerns the workers.
func ofWorkers(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return section == "flow" || section == "session" || section == "protocols"
}
