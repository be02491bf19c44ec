package snmp

import (
	"testing"

	"flowscope/session/sessiontest"
)

func FuzzParse(f *testing.F) {
	limit := func(payload int) int { return 8<<10 + 16*payload }
	sessiontest.FuzzDatagramParser(f, New(), limit, append(contractConversations(f), captures(f)...)...)
}
