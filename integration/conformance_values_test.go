package integration

import (
	"fmt"
	"net/netip"
	"slices"
)

// mustAddr writes an address as netip does, or returns it as it is.
func mustAddr(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	return a.String()
}

func sortedNumbers(numbers []uint16) string {
	return fmt.Sprint(slices.Sorted(slices.Values(numbers)))
}

// sortedTexts writes a list of JSON numbers as sortedNumbers does.
func sortedTexts(values []any) string {
	var numbers []uint16
	for _, v := range values {
		var n uint16
		fmt.Sscan(asText(v), &n)
		numbers = append(numbers, n)
	}
	return sortedNumbers(numbers)
}

// texts writes values as text.
func texts(m map[string]any) map[string]string {
	t := map[string]string{}
	for k, v := range m {
		t[k] = fmt.Sprint(v)
	}
	return t
}
