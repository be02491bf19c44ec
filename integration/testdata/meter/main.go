// Command meter is the sensor with one protocol more.
package main

import (
	"os"

	"example.org/meter/meter"
	"flowscope/cmd"
	"flowscope/parsers"
)

func main() { os.Exit(cmd.Main(append(parsers.All(), meter.New())...)) }
