package publish

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A connection has the sensor's name and comes back whatever happens; nothing is kept
// where it is not counted.
func TestConnectionOptions(t *testing.T) {
	o := nats.GetDefaultOptions()
	for _, set := range ConnectionOptions("edge-1", nil) {
		if err := set(&o); err != nil {
			t.Fatal(err)
		}
	}
	if o.MaxReconnect != -1 || !o.IgnoreAuthErrorAbort || o.ReconnectBufSize != -1 || !o.AllowReconnect {
		t.Errorf("at most %d reconnections, login errors end them: %v, %d bytes kept meanwhile", o.MaxReconnect, !o.IgnoreAuthErrorAbort, o.ReconnectBufSize)
	}
	srv := serverWith(t, "", nil)
	nc, err := Connect(t.Context(), Config{Servers: []string{"nats://" + srv.Addr().String()}, ConnectTimeout: DefaultConfig().ConnectTimeout}, "edge-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	list, err := srv.Connz(&server.ConnzOptions{})
	if err != nil || len(list.Conns) != 1 || list.Conns[0].Name != "flowscope/edge-1" {
		t.Errorf("%v, %+v, want one connection by the name of flowscope/edge-1", err, list)
	}
}
