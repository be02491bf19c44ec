package config

import (
	"fmt"
	"strings"
)

// didYouMean ends a message about an unknown name: the nearest known one if it
// is near, and all that there are.
func didYouMean(name string, known []string) string {
	all := "known are " + strings.Join(known, ", ")
	if len(known) == 0 {
		all = "there are none"
	}
	if best, ok := nearest(name, known); ok {
		return fmt.Sprintf("did you mean %s? (%s)", best, all)
	}
	return all
}

// nearest returns the known name with the fewest changes, if these are at most a
// third of the name.
func nearest(name string, known []string) (string, bool) {
	if name == "" {
		return "", false
	}
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best, best != ""
}

// maxCompared bounds the length of names that are compared.
const maxCompared = 128

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
