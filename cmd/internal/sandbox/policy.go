package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrUnsupported says that this system or this build cannot be confined.
var ErrUnsupported = errors.New("not supported")

// Policy says what the process still needs.
type Policy struct {
	// User is the name or number of the user to become, "" to stay. Its primary
	// group is taken, and no other.
	User string
	// Read are files and folders that are read, Write those that are also
	// written, created and removed in. What does not exist is left out.
	Read, Write []string
	// RemoveIn are folders in which empty folders are removed, and nothing else is
	// done.
	RemoveIn []string
}

// Report says what was done.
type Report struct {
	// UID is the user that the process now is.
	UID int
	// Landlock is the version of the kernel's interface that confines file
	// access, 0 if the kernel has none.
	Landlock int
}

// String is for logs.
func (r Report) String() string {
	files := "file access is not confined: this kernel has no Landlock"
	if r.Landlock > 0 {
		files = fmt.Sprintf("Landlock %d", r.Landlock)
	}
	return fmt.Sprintf("uid %d, no capabilities, no new privileges, seccomp, %s", r.UID, files)
}

// system is what name resolution, TLS, time zones and our own statistics read.
var system = []string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/localtime",
	"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/share/zoneinfo", "/run/systemd/resolve",
	"/proc/self", "/proc/sys/net", "/sys/class/net", "/sys/devices", "/dev/urandom",
}

// crowded are folders that hold much beside what is ours: of a file in one of
// them only the file itself is opened.
var crowded = []string{"/", "/etc", "/usr", "/var", "/var/lib", "/home", "/root", "/tmp", "/run", "/boot", "/proc", "/sys", "/dev"}

// ToReadAgain returns what must be readable so that a file can be read again after it
// was replaced, or after a link on the way to it was: what is around the file's name and
// around the file itself.
func ToReadAgain(file string) []string {
	paths := []string{around(file)}
	if target, err := filepath.EvalSymlinks(file); err == nil && around(target) != paths[0] {
		paths = append(paths, around(target))
	}
	return paths
}

// around returns what must be readable so that a file can be read again after it
// was replaced: its folder, or only the file if the folder holds other people's
// files too.
func around(file string) string {
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return file
	}
	for _, c := range crowded {
		if folder == c || strings.HasPrefix(c, folder+"/") {
			return file
		}
	}
	return folder
}
