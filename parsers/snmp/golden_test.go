package snmp

import (
	"flag"
	"testing"

	"flowscope/session/sessiontest"
)

var update = flag.Bool("update", false, "rewrite testdata/*.json")

// The golden files are held against tshark in integration.
func TestGolden(t *testing.T) { sessiontest.TestGolden(t, *update, New()) }
