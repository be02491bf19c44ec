package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"flowscope/cmd/internal/sandbox"
)

// handOver has a store belong to the user that the process is to become, and has all
// files opened as that user from now on: what the server makes is the user's from the
// beginning, which takes no capability but CAP_SETUID and CAP_SETGID. Only what
// belongs to others already takes CAP_CHOWN as well. "" is a store that the user is to
// make.
func handOver(store, name string) error {
	uid, gid, err := sandbox.Lookup(name)
	if err != nil {
		return fmt.Errorf("security.user: %w", err)
	}
	var refused error
	if store != "" {
		refused = give(store, uid, gid)
	}
	if err := sandbox.FilesAs(uid, gid); err != nil {
		return fmt.Errorf("security.user: %w", err)
	}
	if refused == nil {
		return reached(store, name)
	}
	if !errors.Is(refused, fs.ErrPermission) {
		return fmt.Errorf("give the store to user %s: %w", name, refused)
	}
	// A folder that only its owner reads is none for a root without capabilities, and
	// may be all the user's.
	if err := usable(store); err != nil {
		return fmt.Errorf("give the store to user %s: %w: make it that user's: mkdir -p %s && chown -R %d:%d %s",
			name, errors.Join(refused, err), store, uid, gid, store)
	}
	return nil
}

// reached looks whether the user may enter the folders that the store is in.
func reached(store, name string) error {
	if store == "" {
		return nil
	}
	if _, err := os.Stat(store); err != nil {
		return fmt.Errorf("publish.embedded.store: user %s (security.user) does not get there: %w: want a folder below such as that user may enter, as /var/lib is", name, err)
	}
	return nil
}

// give changes the owner of what is another's, of a folder after what is in it. A
// store that is not there yet is made.
func give(store string, uid, gid int) error {
	made := false
	if _, err := os.Lstat(store); errors.Is(err, fs.ErrNotExist) {
		made = true
	}
	if err := os.MkdirAll(store, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(store) // a link that leads out of it is not followed
	if err != nil {
		return err
	}
	defer root.Close()
	if err := onlyAStore(root); err != nil {
		return err
	}
	var paths []string
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	for i := len(paths) - 1; i >= 0 && err == nil; i-- {
		err = giveOne(root, paths[i], uid, gid)
	}
	if err != nil && made {
		_ = os.Remove(store) // the user may be able to make it
	}
	return err
}

// onlyAStore refuses a folder that holds anything beside what the embedded server makes:
// with a folder such as /srv all of it would be given away.
func onlyAStore(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		if name := e.Name(); name != "jetstream" && name != "flowscope.lock" {
			return fmt.Errorf("%s is not of a store: want a folder for the store alone", filepath.Join(root.Name(), name))
		}
	}
	return err
}

func giveOne(root *os.Root, path string, uid, gid int) error {
	info, err := root.Lstat(path)
	if err != nil || ownedBy(info, uid, gid) {
		return err
	}
	if linked(info) {
		return fmt.Errorf("%s is another's and has other names, too: want it removed from the store", filepath.Join(root.Name(), path))
	}
	return root.Lchown(path, uid, gid)
}

// usable looks whether all of a store can be read and written, and makes it if it is
// not there.
func usable(store string) error {
	if err := os.MkdirAll(store, 0o700); err != nil {
		return err
	}
	return filepath.WalkDir(store, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return f.Close()
	})
}
