package publish

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var ackPrefix = []byte(`{"stream":"FLOWSCOPE",`)

func TestParseAck(t *testing.T) {
	tests := []struct {
		name, data string
		want       pubAck
		bad        bool
	}{
		{"usual", `{"stream":"FLOWSCOPE","seq":7}`, pubAck{Seq: 7}, false},
		{"usual with blanks", `{"stream":"FLOWSCOPE", "seq": 18446}`, pubAck{Seq: 18446}, false},
		{"duplicate", `{"stream":"FLOWSCOPE","seq":7,"duplicate": true}`, pubAck{Stream: "FLOWSCOPE", Seq: 7, Duplicate: true}, false},
		{"domain", `{"stream":"FLOWSCOPE", "domain":"hub", "seq":7}`, pubAck{Stream: "FLOWSCOPE", Domain: "hub", Seq: 7}, false},
		{"other stream", `{"stream":"OTHER","seq":7}`, pubAck{Stream: "OTHER", Seq: 7}, false},
		{
			"refused", `{"error":{"code":429,"err_code":10167,"description":"too many requests"},"stream":"FLOWSCOPE","seq":0}`,
			pubAck{Stream: "FLOWSCOPE", Error: &ackError{429, 10167, "too many requests"}},
			false,
		},
		{"+OK", `+OK`, pubAck{}, true},
		{"empty", ``, pubAck{}, true},
		{"no stream", `{"seq":7}`, pubAck{Seq: 7}, true},
		{"cut", `{"stream":"FLOWSCOPE","seq":7`, pubAck{}, true},
		{"no digits", `{"stream":"FLOWSCOPE","seq":}`, pubAck{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got pubAck
			var err error
			seq, usual := usualAck([]byte(tt.data), ackPrefix)
			if usual {
				got.Seq = seq
			} else {
				err = parseAck([]byte(tt.data), &got)
			}
			if (err != nil) != tt.bad {
				t.Fatalf("parseAck: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPermanentRefusals(t *testing.T) {
	// The meaning of the codes is HTTP's.
	for code, want := range map[int]bool{400: true, 403: true, 404: false, 408: false, 409: false, 429: false, 500: false, 503: false} {
		if got := (&ackError{Code: code}).permanent(); got != want {
			t.Errorf("code %d: permanent %v, want %v", code, got, want)
		}
	}
	for _, code := range []int{errAccountResources, errStreamSealed} {
		if (&ackError{Code: 400, ErrCode: code}).permanent() {
			t.Errorf("error %d is permanent", code)
		}
	}
}

// FuzzParseAck checks the short cut against a general JSON decoder.
func FuzzParseAck(f *testing.F) {
	for _, s := range []string{
		`{"stream":"FLOWSCOPE","seq":7}`, `{"stream":"FLOWSCOPE", "seq": 9,"duplicate": true}`,
		`{"error":{"code":503,"err_code":10077,"description":"x"}}`, `{"stream":"FLOWSCOPE","seq":99999999999999999999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want pubAck
		seq, usual := usualAck(data, ackPrefix)
		if !usual {
			_ = parseAck(data, &want)
			return
		}
		if err := json.Unmarshal(data, &want); err != nil {
			// Leading zeros are none of JSON, and harmless.
			return
		}
		if seq != want.Seq || want.Stream != "FLOWSCOPE" || want.Duplicate || want.Error != nil {
			t.Errorf("%q: got %d, JSON says %+v", data, seq, want)
		}
	})
}
