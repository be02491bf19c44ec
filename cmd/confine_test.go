package cmd

import (
	"slices"
	"testing"

	"flowscope/config"
)

// A connection to a hub that is made anew reads its files again, as others do.
func TestLoginFiles(t *testing.T) {
	c := config.Default()
	c.Publish.Auth.Credentials = "servers.creds"
	c.Publish.Embedded.Leaf.Credentials, c.Publish.Embedded.Leaf.CA = "hub.creds", "hub.pem"
	l := &live{settled: &settled{Config: c}}
	if got, want := l.loginFiles(), []string{"hub.creds", "hub.pem"}; !slices.Equal(got, want) {
		t.Errorf("embedded: %v, want %v", got, want)
	}
	c.Publish.Servers = []string{"nats://a:1"}
	if got, want := l.loginFiles(), []string{"servers.creds"}; !slices.Equal(got, want) {
		t.Errorf("servers: %v, want %v", got, want)
	}
}
