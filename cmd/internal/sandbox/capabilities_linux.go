//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropBoundingSet takes every capability out of the bounding set, so that none
// comes back with a program's file capabilities (capabilities(7)). Without
// CAP_SETPCAP that is not allowed, and no_new_privs has the same effect.
func dropBoundingSet() error {
	for c := range uintptr(unix.CAP_LAST_CAP + 1) {
		switch err := allPrctl(unix.PR_CAPBSET_DROP, c, 0); {
		case errors.Is(err, unix.EPERM):
			return nil
		case errors.Is(err, unix.EINVAL): // a capability that this kernel does not know
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// dropCapabilities empties the ambient, effective, permitted and inheritable sets.
func dropCapabilities() error {
	if err := allPrctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	err := allThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
	runtime.KeepAlive(&header)
	runtime.KeepAlive(&none)
	return err
}
