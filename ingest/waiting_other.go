//go:build !unix

package ingest

import "os"

// poller knows no way to ask whether a file can be read without waiting.
type poller struct{}

// readable lets the read wait.
func (*poller) readable(*os.File) bool { return true }
