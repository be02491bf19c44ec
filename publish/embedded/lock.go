package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockName is the file that keeps a second server out of a store. The kernel
// drops the lock when the process ends, however it ends.
const lockName = "flowscope.lock"

func lockStore(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embedded server: store %s is not writable: %w", dir, err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded server: store %s: %w", dir, err), f.Close())
	}
	return f, nil
}
