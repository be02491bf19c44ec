package ingest

import "strconv"

// DamageError says where a capture file stops making sense. The packets before
// that place were delivered.
type DamageError struct {
	// File is the file's path as it was given, or "stdin".
	File string
	// Offset is the first byte that cannot be right or is not there, counted
	// from 0.
	Offset int64
	// Unpacked says that Offset counts in what gzip unpacked.
	Unpacked bool
	// Reason is for people.
	Reason string
	// Err is what reading or unpacking returned, nil if the bytes themselves are
	// at fault.
	Err error
}

// Error names file, offset and reason.
func (e *DamageError) Error() string {
	s := e.File + ": damaged at byte " + strconv.FormatInt(e.Offset, 10)
	if e.Unpacked {
		s += " of the unpacked data"
	}
	s += ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *DamageError) Unwrap() error { return e.Err }
