package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	maxNumber = 0x40000000
)

// allowedHere are the older forms of calls that only this architecture has.
var allowedHere = []uint32{
	unix.SYS_OPEN, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_ACCESS, unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_PIPE, unix.SYS_UNLINK,
	unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_READLINK, unix.SYS_NEWFSTATAT, unix.SYS_GETDENTS, unix.SYS_ARCH_PRCTL,
	unix.SYS_TIME, unix.SYS_SELECT,
}
