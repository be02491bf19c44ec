package publish

import "testing"

func TestOlderThan(t *testing.T) {
	for version, older := range map[string]bool{
		"2.11.9": true, "2.13.99": true, "1.99.0": true, "2.2.0": true,
		"2.14.0": false, "2.14.0-RC.1": false, "2.15.2": false, "3.0.0": false,
		"": false, "dev": false,
	} {
		if got := olderThan(version, 2, 14); got != older {
			t.Errorf("%q is older than 2.14: %v", version, got)
		}
	}
}
