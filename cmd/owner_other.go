//go:build !unix

package cmd

import "io/fs"

// linked is not to be known here.
func linked(fs.FileInfo) bool { return false }

// ownedBy is not to be known here.
func ownedBy(fs.FileInfo, int, int) bool { return false }
