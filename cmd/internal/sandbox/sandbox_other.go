//go:build !linux || (!amd64 && !arm64)

package sandbox

import (
	"fmt"
	"runtime"
)

// Enter is not to be had on this system.
func Enter(Policy) (Report, error) {
	return Report{}, fmt.Errorf("sandbox on %s: %w", runtime.GOOS, ErrUnsupported)
}

// FilesAs is not to be had on this system.
func FilesAs(int, int) error {
	return fmt.Errorf("sandbox on %s: %w", runtime.GOOS, ErrUnsupported)
}
