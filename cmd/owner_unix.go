//go:build unix

package cmd

import (
	"io/fs"
	"syscall"
)

// ownedBy says whether a file belongs to a user and a group.
func ownedBy(info fs.FileInfo, uid, gid int) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == uid && int(s.Gid) == gid
}
