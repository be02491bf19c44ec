package publish

import (
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
)

// again returns a function that reads a login anew for each connection. A file that is
// not right by then is told in the log, and what it held before is used: without a
// login a server might let us in as somebody else.
func again[T any](log *slog.Logger, first T, read func() (T, error)) func() T {
	former := first
	wrong := errorLog{log: log, message: "the login is as before, because its file is not right"}
	return func() T {
		now, err := read()
		if err != nil {
			wrong.tell(err)
			return former
		}
		former = now
		return now
	}
}

// userLogin is the content of a user file.
type userLogin struct{ user, password string }

func readUserLogin(path string) (userLogin, error) {
	user, password, err := ReadLogin(path)
	return userLogin{user, password}, err
}

// userFile logs in with a user and a password.
func userFile(log *slog.Logger, path string) (nats.Option, error) {
	read := func() (userLogin, error) { return readUserLogin(path) }
	first, err := read()
	next := again(log, first, read)
	return nats.UserInfoHandler(func() (string, string) {
		l := next()
		return l.user, l.password
	}), err
}

// tokenFile logs in with a token.
func tokenFile(log *slog.Logger, path string) (nats.Option, error) {
	read := func() (string, error) {
		token, err := readSecret(path)
		if err == nil && token == "" {
			err = fmt.Errorf("auth: %s: want one line, the token", path)
		}
		return token, err
	}
	first, err := read()
	return nats.TokenHandler(again(log, first, read)), err
}

// credentials logs in with a .creds file.
func credentials(log *slog.Logger, path string) (nats.Option, error) {
	read := func() (*nats.Options, error) {
		text, err := readSecret(path)
		if err != nil {
			return nil, err
		}
		o := new(nats.Options)
		if err = nats.UserCredentialBytes([]byte(text))(o); err == nil {
			_, err = o.UserJWT()
		}
		if err == nil {
			_, err = o.SignatureCB([]byte("nonce"))
		}
		if err != nil { // which may quote the file
			return nil, fmt.Errorf("auth: credentials %s: not a file with a user's JWT and seed", path)
		}
		return o, nil
	}
	first, err := read()
	next := again(log, first, read)
	return nats.UserJWT(
		func() (string, error) { return next().UserJWT() },
		func(nonce []byte) ([]byte, error) { return next().SignatureCB(nonce) },
	), err
}
