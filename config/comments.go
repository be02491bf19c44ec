package config

// comments say what each key of the stages is for; options of protocols bring
// theirs along in a struct tag named comment.
var comments = map[string]string{
	"sensor":      "Who publishes.",
	"sensor.name": `Name of this sensor in every event, part of every flow id; "" is the host's name.`,

	"workers": "Goroutines that track flows and parse; 0 is one for each processor.",

	"flow":                    "Tracking of flows. All time-outs are in packet time.",
	"flow.max_flows":          "Flows tracked at once, over all workers; the least recently used one makes room.",
	"flow.tcp_idle":           "Silence after which an established TCP flow ends.",
	"flow.tcp_setup_idle":     "Silence after which a TCP flow ends that was never established.",
	"flow.udp_idle":           "Silence after which a UDP flow ends.",
	"flow.other_idle":         "Silence after which any other flow ends.",
	"flow.closing_tail":       "How long a closed TCP flow takes in late packets before its closed event.",
	"flow.fragment_timeout":   "How long the fragments of a datagram are kept while others are missing.",
	"flow.max_fragmented":     "Fragmented datagrams kept at once, per worker; the oldest makes room. Each takes 64 KiB at most.",
	"flow.max_fragment_bytes": "Memory of these per worker, in bytes.",

	"session":                   "Detection of protocols, and limits of parsers.",
	"session.probe_packets":     "Data packets of a flow that are held while its protocol is not known.",
	"session.probe_bytes":       "Bytes per side that are held meanwhile.",
	"session.probe_time":        "How long that may last, in packet time.",
	"session.messages_per_call": "Messages that a parser may emit for one piece of input; beyond that it is ended.",
	"session.anomaly_interval":  "Least packet time between two anomalies of one name on one flow; those between are counted.",

	"protocols": "The protocols that are built in, each with its own options.",

	"publish":                 "Where events go.",
	"publish.prefix":          "Begins every subject: tokens of a-z, 0-9 and _ separated by dots; {sensor} stands for the sensor's name.",
	"publish.servers":         "URLs of NATS servers; none is the embedded server.",
	"publish.queue_bytes":     "Memory of events that wait for the publisher, in bytes.",
	"publish.events":          "all, or messages: without started, closed, anomaly and tick.",
	"publish.only":            "Protocols whose events are published, flow among them; none is all.",
	"publish.connect_timeout": "How long a server may take to be reached.",
	"publish.drain_timeout":   "How long the end waits for acknowledgements.",
	"publish.ack_timeout":     "How long one event waits for its acknowledgement before it is sent again.",
	"publish.stall_timeout":   "How long a replay goes on while nothing at all is acknowledged; 0 is for ever.",

	"publish.auth":             "How to log in at the servers: at most one of credentials, nkey_seed, user_file and token_file. Secrets stay in files that only their owner may read.",
	"publish.auth.credentials": "A .creds file.",
	"publish.auth.nkey_seed":   "A file with an nkey seed.",
	"publish.auth.user_file":   "A file of one line, user:password.",
	"publish.auth.token_file":  "A file of one line, the token.",
	"publish.auth.ca":          `PEM certificates that the server's is checked against; "" is those of the system.`,
	"publish.auth.certificate": "A client certificate, PEM; with key.",
	"publish.auth.key":         "The key of the client certificate, PEM.",
	"publish.auth.tls_first":   "Begin with TLS before the server has said anything.",

	"publish.embedded":               "The server inside this process, used when there are no servers.",
	"publish.embedded.store":         `Directory of its file store; "" is a temporary one, removed at the end.`,
	"publish.embedded.listen":        `host:port at which others reach it; "" is not at all.`,
	"publish.embedded.max_store":     "Largest size of the store in bytes; 0 is three quarters of what is free on the disk.",
	"publish.embedded.sync_interval": "How often the store is synced to the disk.",

	"publish.stream":                  "The JetStream stream that keeps the events.",
	"publish.stream.name":             "Its name.",
	"publish.stream.mode":             `verify: it must exist; create: it is made if it is missing; off: whatever acknowledges will do; "" is create with the embedded server, else verify.`,
	"publish.stream.storage":          "file or memory, for create.",
	"publish.stream.replicas":         "Copies in a cluster, for create.",
	"publish.stream.max_bytes":        "Largest size in bytes, for create, the oldest events make room; 0 is no bound.",
	"publish.stream.max_age":          "How long events are kept, for create; 0s is for ever.",
	"publish.stream.duplicate_window": "How long the server remembers ids, for create; 0s is 30s with the embedded server, else 2m.",

	"publish.in_flight":          "What may be sent and not acknowledged yet.",
	"publish.in_flight.messages": "Messages.",
	"publish.in_flight.bytes":    "Bytes of their payloads.",
}
