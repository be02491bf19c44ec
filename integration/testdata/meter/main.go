// Command meter is the sensor with one protocol more.
package main

import (
	"flowscope/cmd"
	"flowscope/parsers"
	"os"

	"example.org/meter/meter"
)

func main() { os.Exit(cmd.Main(append(parsers.All(), meter.New())...)) }
