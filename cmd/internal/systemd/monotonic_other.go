//go:build !linux

package systemd

import "time"

// Monotonic returns 0: there is no such manager here.
func Monotonic() time.Duration { return 0 }
