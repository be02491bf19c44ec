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

// reloadable are the keys that take effect while packets are captured. All others
// are part of how sockets, tables and parsers were made.
var reloadable = []string{"capture.filter", "capture.own_traffic", "publish.events", "publish.only"}

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
	changed := config.Changed(l.loaded, loaded)
	restart := slices.DeleteFunc(slices.Clone(changed), func(k string) bool { return slices.Contains(reloadable, k) })
	now := slices.DeleteFunc(slices.Clone(changed), func(k string) bool { return !slices.Contains(reloadable, k) })
	errs := []error{l.refilter(ctx, &loaded.Capture), l.publisher.Filter(loaded.Publish), l.publisher.Reload()}
	if err := errors.Join(errs...); err != nil {
		l.log.Error("cannot take up a part of the new configuration", "error", err)
	}
	config.Adopt(l.loaded, loaded, reloadable)
	l.log.Info("configuration reloaded", "changed", strings.Join(now, " "), "needs_restart", strings.Join(restart, " "))
}
