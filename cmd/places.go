package cmd

import "strings"

// tellPlaces logs where the events of the run can be read, and where it can be looked at.
func (l *live) tellPlaces() {
	stream := l.Publish.Stream.Name
	switch server := l.dest.server; {
	case server == nil:
		l.log.Info("events go to NATS", "servers", strings.Join(l.Publish.Servers, ","), "stream", stream)
	case server.URL() == "":
		l.log.Info("events go to the embedded server, which others cannot reach (publish.embedded.listen)", "store", l.dest.folder, "stream", stream)
	default:
		l.log.Info("events go to the embedded server", "server", server.URL(), "store", l.dest.folder, "stream", stream)
	}
	if l.monitor != nil {
		l.log.Info("the sensor can be looked at", "url", "http://"+l.monitor.Addr()+"/status")
	}
}
