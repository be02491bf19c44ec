//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter applies the policy to all threads, in the only order that works: what
// needs privileges first, system calls last.
func Enter(p Policy) (Report, error) {
	if err := reachable(); err != nil {
		return Report{}, err
	}
	uid, gid, err := p.ids()
	if err != nil {
		return Report{}, err
	}
	rules, version, err := openRuleset(p)
	if err != nil {
		return Report{}, err
	}
	defer rules.close()
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"drop the capability bounding set", dropBoundingSet},
		{"change the user", func() error { return become(uid, gid) }},
		{"drop capabilities", dropCapabilities},
		{"forbid new privileges", forbidNewPrivileges},
		{"confine file access", rules.restrict},
		{"confine system calls", filterSystemCalls},
	} {
		if err := step.do(); err != nil {
			return Report{}, fmt.Errorf("sandbox: %s: %w", step.what, err)
		}
	}
	return Report{UID: os.Getuid(), Landlock: version}, nil
}

// FilesAs has all threads open and make files as another user and group from now on,
// without the other groups that the process has. It keeps all else, such as the right
// to open packet sockets; Enter with the same user completes it.
func FilesAs(uid, gid int) error {
	if err := reachable(); err != nil {
		return err
	}
	if checkIDs(uid, gid) == nil {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("give up groups: %w", err)
	}
	// Neither call says whether it has worked; the second one, which changes nothing,
	// tells who it is now.
	for _, c := range []struct {
		what string
		call uintptr
		id   int
	}{{"group", unix.SYS_SETFSGID, gid}, {"user", unix.SYS_SETFSUID, uid}} {
		if err := allThreads(c.call, uintptr(c.id), 0, 0); err != nil {
			return fmt.Errorf("files as %s %d: %w", c.what, c.id, err)
		}
		if now, _, _ := syscall.AllThreadsSyscall(c.call, noID, 0, 0); int(now) != c.id {
			return fmt.Errorf("files as %s %d: %w", c.what, c.id, unix.EPERM)
		}
	}
	return nil
}

// reachable says whether system calls can be made on all threads.
func reachable() error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errno != 0 {
		return fmt.Errorf("sandbox: this program was built with cgo, whose threads cannot be reached: build it with CGO_ENABLED=0: %w", ErrUnsupported)
	}
	return nil
}

// ids returns the user and group to become, -1 to stay.
func (p Policy) ids() (uid, gid int, err error) {
	if p.User == "" {
		return -1, -1, nil
	}
	uid, gid, err = Lookup(p.User)
	if err != nil {
		err = fmt.Errorf("sandbox: %w", err)
	}
	return uid, gid, err
}

// become changes all ids of all threads, and looks whether they are changed.
func become(uid, gid int) error {
	if uid < 0 || checkIDs(uid, gid) == nil {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("give up groups: %w", err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("group %d: %w", gid, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("user %d: %w", uid, err)
	}
	return checkIDs(uid, gid)
}

// checkIDs refuses any real, effective, saved or file system id that is another one.
// A call whose result is not the same on all threads ends the process (package syscall).
func checkIDs(uid, gid int) error {
	for _, c := range []struct {
		what      string
		call, arg uintptr
		want      int
	}{
		{"real user", unix.SYS_GETUID, 0, uid},
		{"effective user", unix.SYS_GETEUID, 0, uid},
		{"file system user", unix.SYS_SETFSUID, noID, uid}, // changes nothing
		{"real group", unix.SYS_GETGID, 0, gid},
		{"effective group", unix.SYS_GETEGID, 0, gid},
		{"file system group", unix.SYS_SETFSGID, noID, gid},
	} {
		got, _, errno := syscall.AllThreadsSyscall(c.call, c.arg, 0, 0)
		if errno != 0 {
			return fmt.Errorf("%s: %w", c.what, errno)
		}
		if int(got) != c.want {
			return fmt.Errorf("%s: is %d, want %d", c.what, got, c.want)
		}
	}
	if _, _, saved := unix.Getresuid(); saved != uid {
		return fmt.Errorf("saved user: is %d, want %d", saved, uid)
	}
	if _, _, saved := unix.Getresgid(); saved != gid {
		return fmt.Errorf("saved group: is %d, want %d", saved, gid)
	}
	return nil
}

// allThreads makes a system call on every thread.
func allThreads(trap, a1, a2, a3 uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, a3); errno != 0 {
		return errno
	}
	return nil
}

func forbidNewPrivileges() error {
	return allPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// allPrctl is prctl on every thread; the last two arguments are 0.
func allPrctl(option, arg2, arg3 uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, arg2, arg3, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
