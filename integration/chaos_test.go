//go:build linux

package integration

import (
	"os"
	"testing"
)

// eventsPerFlow: started, query, response, closed.
const eventsPerFlow = 4

// chaosRounds is how often each fault is made: a few in every run, many in the
// long one.
func chaosRounds() int {
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		return 20
	}
	return 2
}

// way is one way of sending.
type way struct {
	name   string
	config string
	// together says that many messages are acknowledged at a time.
	together bool
	// unacknowledged says that nobody tells what was stored.
	unacknowledged bool
}

// ways are those whose events are acknowledged, each of which every fault meets.
var ways = []way{
	{name: "single"},
	{name: "fast", config: "  mode: fast\n", together: true},
	{name: "batched", config: "  batch_bytes: 16384\n"},
	{name: "fast and batched", config: "  mode: fast\n  batch_bytes: 16384\n", together: true},
}

// coreWay meets what networks do: it has nothing to do with a stream.
var coreWay = way{name: "core", config: "  mode: core\n", unacknowledged: true}

// longOnly are the combinations that every run leaves to the long one, for their
// time: what networks, disks and servers do still meets each way with acknowledgements.
var longOnly = map[string]bool{
	"core/stop": true, "core/cut": true, "core/delay": true,
	"core/answers lost for longer than the duplicate window": true,

	"fast/stream full for good": true, "batched/stream full for good": true,
	"fast/stop keeps its deadline": true, "batched/stop keeps its deadline": true,
}

// ofAllWays repeats a test that is over after one fault, so that all ways together
// meet as many as others do alone.
func ofAllWays(test func(*testing.T, programs, way)) func(*testing.T, programs, way) {
	return func(t *testing.T, built programs, w way) {
		for range max(1, chaosRounds()/len(ways)) {
			test(t, built, w)
		}
	}
}

// TestChaos breaks servers and networks while events are published: each fault
// twice, with FLOWSCOPE_LONG=1 twenty times.
func TestChaos(t *testing.T) {
	if os.Getenv("FLOWSCOPE_CHAOS") != "1" {
		t.Skip("it takes minutes, all processors, and the right to mount: FLOWSCOPE_CHAOS=1 is missing")
	}
	built := buildPrograms(t)
	meets := func(w way, fault string, test func(*testing.T)) {
		if name := w.name + "/" + fault; os.Getenv("FLOWSCOPE_LONG") == "1" || !longOnly[name] {
			t.Run(name, test)
		}
	}
	for _, w := range append(ways[:len(ways):len(ways)], coreWay) {
		for _, f := range faults {
			meets(w, f.name, func(t *testing.T) { runFault(t, built, f, w) })
		}
	}
	for _, w := range ways {
		for _, f := range []struct {
			name string
			test func(*testing.T, programs, way)
		}{
			{"stream deleted", testStreamDeleted},
			{"stream full", testStreamFull},
			{"disk full", testDiskFull},
			{"stream full for good", ofAllWays(testStreamFullForGood)},
			{"stop keeps its deadline", ofAllWays(testStopDeadline)},
			{"refused", ofAllWays(testRefused)},
		} {
			meets(w, f.name, func(t *testing.T) { f.test(t, built, w) })
		}
	}
	t.Run("permission denied", func(t *testing.T) {
		for range chaosRounds() {
			testPermissionDenied(t, built)
		}
	})
	t.Run("two sensors", func(t *testing.T) { testTwoSensors(t, built) })
	t.Run("cluster", func(t *testing.T) { testCluster(t, built) })
	// Last, and at the same time: these mostly wait.
	t.Run("leaf nodes", func(t *testing.T) {
		t.Parallel()
		testLeafNodes(t, built)
	})
	for _, f := range faults {
		t.Run("consumers/"+f.name, func(t *testing.T) {
			t.Parallel()
			testConsumers(t, built, f)
		})
	}
	for _, w := range ways {
		meets(w, "idle", func(t *testing.T) {
			t.Parallel()
			testIdle(t, built, w)
		})
	}
}
