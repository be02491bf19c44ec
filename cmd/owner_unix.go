//go:build unix

package cmd

import (
	"io/fs"
	"syscall"
)

// linked says whether a file has other names, which may lie anywhere.
func linked(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && s.Nlink > 1
}

// ownedBy says whether a file belongs to a user and a group.
func ownedBy(info fs.FileInfo, uid, gid int) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == uid && int(s.Gid) == gid
}
