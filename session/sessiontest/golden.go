package sessiontest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// GoldenFlow is what a golden file has of one flow of its capture. The file is a
// JSON list of them: TCP connections first, each transport in the order of the
// first packets.
type GoldenFlow struct {
	Protocol  string `json:"protocol"`
	Transport string `json:"transport"`
	// Ports are those of initiator and responder.
	Ports     [2]uint16       `json:"ports"`
	Messages  []GoldenMessage `json:"messages"`
	Anomalies []GoldenAnomaly `json:"anomalies,omitempty"`
	// Ended says what ended the parser before its flow did.
	Ended string `json:"ended,omitempty"`
}

// GoldenMessage is one message of a golden file.
type GoldenMessage struct {
	Kind string `json:"kind"`
	// Side is initiator or responder.
	Side string `json:"side"`
	// Time and Start are in nanoseconds since 1970, as in session.Emission.
	Time      ingest.Timestamp `json:"time"`
	Start     ingest.Timestamp `json:"start,omitempty"`
	Truncated bool             `json:"truncated,omitempty"`
	// Message has the keys of the message. A byte string is {"hex": digits}, a
	// time is in RFC 3339.
	Message map[string]any `json:"message"`
}

// GoldenAnomaly is one anomaly of a golden file.
type GoldenAnomaly struct {
	Name   string `json:"name"`
	Side   string `json:"side"`
	Detail string `json:"detail"`
}

// TestGolden plays every testdata/*.pcap to the parsers of the factories and
// compares what comes out with the file of the same name that ends in .json. With
// update it writes that file instead; what it then holds must be checked against
// another reading of the capture. A flow goes to the first factory that it has a
// port of, or else to the first whose probe knows its first payload; one that is
// of no factory fails the test.
func TestGolden(t *testing.T, update bool, factories ...session.Factory) {
	t.Helper()
	captures, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures in testdata (%v)", err)
	}
	for _, capture := range captures {
		t.Run(filepath.Base(capture), func(t *testing.T) {
			flows := goldenFlows(t, capture, factories)
			got, err := json.MarshalIndent(flows, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := strings.TrimSuffix(capture, ".pcap") + ".json"
			if update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; -update writes it", err)
			}
			if !bytes.Equal(want, got) {
				t.Errorf("%s (-want +got, -update rewrites it):\n%s", file, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")))
			}
		})
	}
}

// ReadGolden returns what a golden file holds: numbers as json.Number, byte
// strings as []byte, and what is written as a time in RFC 3339 as time.Time.
func ReadGolden(tb testing.TB, file string) []GoldenFlow {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	var flows []GoldenFlow
	if err := d.Decode(&flows); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	for i := range flows {
		for j := range flows[i].Messages {
			m := &flows[i].Messages[j]
			m.Message = fromGolden(m.Message).(map[string]any)
		}
	}
	return flows
}

// goldenFlows plays the flows of a capture.
func goldenFlows(t *testing.T, capture string, factories []session.Factory) (flows []GoldenFlow) {
	for _, s := range TCP(t, capture) {
		sample := &session.Sample{SrcPort: s.SrcPort, DstPort: s.DstPort, Transport: session.TCP, Midstream: s.Midstream}
		sample.Data, sample.Side = s.Segments[0].Data, s.Segments[0].Side
		f, ok := chosen(t, capture, sample, factories).(session.SessionParserFactory)
		if !ok {
			continue
		}
		r := NewStreamRun(f)
		if r.Play(s) == nil {
			r.Close(flow.EndOfInput)
		}
		flows = append(flows, goldenOf(t, sample, f, &r.Recorder, r.Ended))
	}
	datagrams := UDP(t, capture)
	for len(datagrams) > 0 {
		first := datagrams[0]
		sample := &session.Sample{Data: first.Payload, SrcPort: first.SrcPort, DstPort: first.DstPort, Transport: session.UDP}
		var c Conversation
		datagrams = slices.DeleteFunc(datagrams, func(d UDPDatagram) bool {
			if d.Flow == first.Flow {
				c.Datagrams = append(c.Datagrams, d.Datagram)
			}
			return d.Flow == first.Flow
		})
		f, ok := chosen(t, capture, sample, factories).(session.DatagramParserFactory)
		if !ok {
			continue
		}
		r := NewDatagramRun(f)
		err := r.Play(c)
		if err == nil {
			r.Close(flow.EndOfInput)
		}
		flows = append(flows, goldenOf(t, sample, f, &r.Recorder, err))
	}
	return flows
}

// chosen returns the factory that a flow goes to; nil, and a failed test, if there
// is none.
func chosen(t *testing.T, capture string, s *session.Sample, factories []session.Factory) session.Factory {
	of := func(f session.Factory) bool { return slices.Contains(f.Protocol().Transports, s.Transport) }
	for _, f := range factories {
		if of(f) && (slices.Contains(f.Protocol().Ports, s.DstPort) || slices.Contains(f.Protocol().Ports, s.SrcPort)) {
			return f
		}
	}
	for _, f := range factories {
		if of(f) && f.Probe(s) == session.Match {
			return f
		}
	}
	t.Errorf("%s: the flow between the ports %d and %d is of no factory", capture, s.SrcPort, s.DstPort)
	return nil
}

func goldenOf(t *testing.T, s *session.Sample, f session.Factory, r *Recorder, ended error) GoldenFlow {
	checkRecorded(t, f.Protocol(), r)
	g := GoldenFlow{Protocol: f.Protocol().Name, Transport: s.Transport.String(), Ports: [2]uint16{s.SrcPort, s.DstPort}}
	if ended != nil {
		g.Ended = ended.Error()
	}
	for _, e := range r.Emissions {
		var message map[string]any
		if err := msgpack.Unmarshal(e.Body, &message); err != nil {
			t.Fatalf("%s: %v", e.Kind, err)
		}
		g.Messages = append(g.Messages, GoldenMessage{
			Kind: e.Kind, Side: e.Side.String(), Time: e.Time, Start: e.Start, Truncated: e.Truncated,
			Message: toGolden(message).(map[string]any),
		})
	}
	for _, a := range r.Anomalies {
		g.Anomalies = append(g.Anomalies, GoldenAnomaly{a.Name, a.Side.String(), a.Detail})
	}
	return g
}

// toGolden writes byte strings and times as JSON can hold them.
func toGolden(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = toGolden(v[k])
		}
	case []any:
		for i := range v {
			v[i] = toGolden(v[i])
		}
	case []byte:
		return map[string]any{"hex": hex.EncodeToString(v)}
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return v
}

// fromGolden undoes toGolden.
func fromGolden(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if digits, ok := v["hex"].(string); ok && len(v) == 1 {
			if b, err := hex.DecodeString(digits); err == nil {
				return b
			}
		}
		for k := range v {
			v[k] = fromGolden(v[k])
		}
	case []any:
		for i := range v {
			v[i] = fromGolden(v[i])
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at
		}
	}
	return v
}
