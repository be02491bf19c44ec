package sandbox

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// Lookup returns the numbers of a user, given by name or number, and of its primary
// group. A number that no user has stands for itself, and for the group: in an
// image without /etc/passwd there is nothing to look up.
func Lookup(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		id, numErr := strconv.Atoi(name)
		if numErr != nil || id < 0 {
			return 0, 0, fmt.Errorf("sandbox: user %q: %w", name, err)
		}
		return id, id, nil
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(uidErr, gidErr)
}
