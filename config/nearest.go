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
// third of the name, or one. Of names that short the first letter is right, or they
// are another word.
func nearest(name string, known []string) (string, bool) {
	name = strings.ToLower(name)
	best, least := "", max(1, len(name)/3)+1
	for _, k := range known {
		lower := strings.ToLower(k)
		if min(len(name), len(k)) <= shortName && !sameStart(name, lower) {
			continue
		}
		if d := distance(name, lower); d < least {
			best, least = k, d
		}
	}
	return best, best != ""
}

const shortName = 4

func sameStart(a, b string) bool { return a != "" && b != "" && a[0] == b[0] }

// maxCompared bounds the length of names that are compared.
const maxCompared = 128

// distance is the number of bytes to insert, delete or replace, or of neighbours to
// swap (Levenshtein, with Damerau's transpositions).
func distance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				cost++
			}
			cost = min(cost, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cost = min(cost, rows[i-2][j-2]+1)
			}
			rows[i][j] = cost
		}
	}
	return rows[len(a)][len(b)]
}
