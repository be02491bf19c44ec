package embedded

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

// Leaf is a connection to a hub, as one of its leaf nodes: consumers there read
// what is stored here, through a stream of the hub that has this one as a source.
// Events themselves never cross: a stream of the hub that takes the same subjects
// would store them a second time, and answer in place of the stream here.
type Leaf struct {
	// URLs are the hub's leaf node listeners, tried in turn.
	URLs []string
	// Subjects are those that must not cross, in either direction.
	Subjects []string
	// User and Password, or the file Credentials, are the login; at most one of
	// the two.
	User, Password string
	Credentials    string
	// CA, Certificate and Key are PEM files as for any client.
	CA, Certificate, Key string
	// TLSFirst begins with TLS, before the hub has said anything.
	TLSFirst bool
}

func (l *Leaf) remote() (*server.RemoteLeafOpts, error) {
	r := &server.RemoteLeafOpts{
		Credentials: l.Credentials, TLSHandshakeFirst: l.TLSFirst,
		DenyImports: l.Subjects, DenyExports: l.Subjects,
	}
	switch {
	case len(l.URLs) == 0:
		return nil, errors.New("no URL of a hub given")
	case len(l.Subjects) == 0:
		return nil, errors.New("no subjects given that must not cross")
	}
	for _, s := range l.URLs {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return nil, errors.New("not a URL")
		}
		if l.User != "" {
			u.User = url.UserPassword(l.User, l.Password)
		}
		r.URLs = append(r.URLs, u)
		r.TLS = r.TLS || u.Scheme == "tls" || u.Scheme == "wss"
	}
	if l.CA == "" && l.Certificate == "" && !r.TLS && !l.TLSFirst {
		return r, nil
	}
	r.TLS = true
	// The server fills in the name of the hub that it connects to.
	r.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if l.CA != "" {
		pem, err := os.ReadFile(l.CA)
		if err != nil {
			return nil, err
		}
		r.TLSConfig.RootCAs = x509.NewCertPool()
		if !r.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", l.CA)
		}
	}
	if l.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(l.Certificate, l.Key)
		if err != nil {
			return nil, err
		}
		r.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	return r, nil
}
