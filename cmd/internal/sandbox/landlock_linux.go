//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The rights that rules give (landlock(7)). Executing is never among them.
const (
	readFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readRight = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeFile = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	writeTree = writeFile | readRight | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REFER
)

// ruleset is a Landlock ruleset; its zero value, for kernels without, does
// nothing.
type ruleset struct {
	fd      int
	handled uint64
	open    bool
}

// openRuleset makes the ruleset of a policy, while the files it names can still be
// opened. version is 0 if the kernel has no Landlock.
func openRuleset(p Policy) (r *ruleset, version int, err error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno == unix.ENOSYS || errno == unix.EOPNOTSUPP:
		return &ruleset{}, 0, nil
	case errno != 0:
		return nil, 0, fmt.Errorf("sandbox: ask for Landlock: %w", errno)
	}
	version = int(v)
	attr, size := rulesetAttr(version)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return nil, 0, fmt.Errorf("sandbox: make a Landlock ruleset: %w", errno)
	}
	r = &ruleset{fd: int(fd), handled: attr.Access_fs, open: true}
	for _, list := range []struct {
		paths      []string
		file, tree uint64
	}{
		{system, readFile, readRight},
		{p.Read, readFile, readRight},
		{p.Write, writeFile, writeTree},
		{p.RemoveIn, 0, unix.LANDLOCK_ACCESS_FS_REMOVE_DIR},
	} {
		for _, path := range list.paths {
			if err := r.allow(path, list.file, list.tree); err != nil {
				r.close()
				return nil, 0, err
			}
		}
	}
	return r, version, nil
}

type landlockAttr struct{ Access_fs, Access_net, Scoped uint64 }

// rulesetAttr handles every right that the version knows, and from version 6 on
// keeps the process from signalling others and from their abstract sockets.
func rulesetAttr(version int) (attr landlockAttr, size uintptr) {
	attr.Access_fs = 1<<13 - 1
	if version >= 2 {
		attr.Access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		attr.Access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 5 {
		attr.Access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version < 6 {
		return attr, unsafe.Sizeof(attr.Access_fs)
	}
	attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	return attr, unsafe.Sizeof(attr)
}

// allow gives rights on a path: those of tree if it is a folder.
func (r *ruleset) allow(path string, file, tree uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil // what the user cannot reach needs no leave
	}
	if err != nil {
		return fmt.Errorf("sandbox: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("sandbox: look at %s: %w", path, err)
	}
	rights := file
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rights = tree
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & r.handled, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("sandbox: allow %s: %w", path, errno)
	}
	return nil
}

func (r *ruleset) restrict() error {
	if !r.open {
		return nil
	}
	return allThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(r.fd), 0, 0)
}

func (r *ruleset) close() {
	if r.open {
		unix.Close(r.fd)
		r.open = false
	}
}
