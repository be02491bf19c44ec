package publish

// The seconds since 1970 of the first second of year 0 and of year 10000, the
// range of RFC 3339.
const (
	rfc3339First = -62167219200
	rfc3339End   = 253402300800
)

func inRFC3339(sec int64) bool { return sec >= rfc3339First && sec < rfc3339End }

// appendRFC3339 appends a time in UTC with nine decimals, RFC 3339 section 5.6.
// It takes a third of the time of time.Time's AppendFormat.
func appendRFC3339(b []byte, sec int64, nsec uint32) []byte {
	const perDay = 24 * 60 * 60
	days := (sec - rfc3339First) / perDay // since 0000-01-01
	second := int((sec - rfc3339First) % perDay)
	year, month, day := civil(int(days))
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), month, 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), second/3600, 2)
	b = appendDigits(append(b, ':'), second/60%60, 2)
	b = appendDigits(append(b, ':'), second%60, 2)
	b = appendDigits(append(b, '.'), int(nsec), 9)
	return append(b, 'Z')
}

// civil converts days since 0000-01-01 to a date of the proleptic Gregorian
// calendar. Counted from 1 March, the leap day is the last of its year, and month
// lengths follow the line (153m+2)/5.
func civil(days int) (year, month, day int) {
	const (
		in400Years = 146097
		in100Years = 36524
		in4Years   = 1461
		inYear     = 365
	)
	days += in400Years - 60 // since 1 March of year -400; year 0 is a leap year
	era := days / in400Years
	d := days % in400Years
	y := (d - d/(in4Years-1) + d/in100Years - d/(in400Years-1)) / inYear
	d -= inYear*y + y/4 - y/100
	m := (5*d + 2) / 153
	day = d - (153*m+2)/5 + 1
	year, month = y+400*(era-1), m+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}

// appendDigits appends the last n decimal digits of v.
func appendDigits(b []byte, v, n int) []byte {
	for range n {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0; i, n = i-1, n-1 {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return b
}
