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
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errno != 0 {
		return Report{}, fmt.Errorf("sandbox: this program was built with cgo, whose threads cannot be reached: build it with CGO_ENABLED=0: %w", ErrUnsupported)
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

// ids returns the user and group to become, -1 to stay.
func (p Policy) ids() (uid, gid int, err error) {
	if p.User == "" {
		return -1, -1, nil
	}
	return Lookup(p.User)
}

func become(uid, gid int) error {
	if uid < 0 || uid == os.Getuid() && gid == os.Getgid() {
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
