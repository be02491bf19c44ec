package sandbox

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// noID is what setresuid(2) and its like take for "leave as it is": nobody's number.
const noID = 1<<32 - 1

// Lookup returns the numbers of a user, given by name or number, and of its primary
// group. A number that no user has stands for itself, and for the group: in an
// image without /etc/passwd there is nothing to look up. Root is refused: to become
// root is to give nothing up.
func Lookup(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		if uid, err = parseID(name); err != nil {
			return 0, 0, fmt.Errorf("user %q: no user of this system has that name, and it is no number from 1 to %d", name, noID-1)
		}
		gid = uid
		u, _ = user.LookupId(strconv.Itoa(uid)) // it need not be known
	}
	if u != nil {
		var uidErr, gidErr error
		uid, uidErr = parseID(u.Uid)
		gid, gidErr = parseID(u.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return 0, 0, fmt.Errorf("user %q: %w", name, err)
		}
	}
	if uid == 0 {
		return 0, 0, fmt.Errorf("user %q is root, who gives nothing up", name)
	}
	return uid, gid, nil
}

// parseID reads the number of a user or a group: all 32 bits but noID.
func parseID(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, err
	}
	if n == noID || int(n) < 0 { // where an int has 32 bits
		return 0, fmt.Errorf("id %d: nobody has this one", n)
	}
	return int(n), nil
}
