// Package integration holds what no single package can test: captures in and
// messages out, through the assembled command, a real NATS server and real
// containers; and the rules about the tree itself.
//
// It is tests only. Nothing imports it, and it may import everything. Tests that
// need a thing which a checkout does not hold name it when they skip; with CI
// set to true .ci/run provides all of them:
//
//   - FLOWSCOPE_CORPUS is the folder of captures that other projects recorded,
//     FLOWSCOPE_REQUIRE_CORPUS=1 turns its absence into a failure;
//   - FLOWSCOPE_DOCKER=1 says that a container engine is there to be used;
//   - FLOWSCOPE_CHAOS=1 breaks servers and networks, which takes minutes, all
//     processors and the right to mount, and soaks a sensor for three minutes;
//   - FLOWSCOPE_LONG=1 makes these longer, the soak an hour.
//
// testdata holds our own recordings with facts written by the programs that were
// recorded; testdata/README.md says how.
package integration
