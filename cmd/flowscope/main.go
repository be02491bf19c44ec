// Command flowscope is a passive network sensor with the built-in protocols.
package main

import (
	"os"

	"flowscope/cmd"
	"flowscope/parsers"
)

func main() { os.Exit(cmd.Main(parsers.All()...)) }
