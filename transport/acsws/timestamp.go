package acsws

import "time"

// Timestamps outside these years do not fit nanoseconds in an int64, and
// nobody means them: year 1 is what .NET sends for "not set".
const (
	minYear = 1678
	maxYear = 2261
)

// parseTimestamp reads an RFC 3339 time into nanoseconds since the Unix
// epoch. The second result is false if there is none to read.
func parseTimestamp(b []byte) (ns int64, ok bool) {
	if ns, ok = parseUTC(b); ok {
		return ns, true
	}
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return 0, false
	}
	if y := t.UTC().Year(); y < minYear || y > maxYear {
		return 0, false
	}
	return t.UnixNano(), true
}

// parseUTC is parseTimestamp for the usual form, without allocation:
// "2022-10-03T19:16:12.925Z" with no fraction or one of up to nine digits, Z
// or +00:00, in the years 1970 to 2261. It takes nothing that parseTimestamp
// would not.
func parseUTC(b []byte) (ns int64, ok bool) {
	const date = "2006-01-02T15:04:05"
	if len(b) <= len(date) || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year := twoDigits(b[0:2])*100 + twoDigits(b[2:4])
	month, day := twoDigits(b[5:7]), twoDigits(b[8:10])
	hour, minute, second := twoDigits(b[11:13]), twoDigits(b[14:16]), twoDigits(b[17:19])
	// A field that is not two digits is notDigits, which no check lets pass.
	if year < 1970 || year > maxYear || month-1 > 11 || day-1 > daysIn(year, month)-1 ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	b = b[len(date):]
	var frac uint
	if b[0] == '.' {
		if frac, b = fraction(b[1:]); b == nil {
			return 0, false
		}
	}
	if z := string(b); z != "Z" && z != "+00:00" {
		return 0, false
	}
	sec := int64(daysSinceEpoch(year, month, day))*86400 + int64(hour*3600+minute*60+second)
	return sec*int64(time.Second) + int64(frac), true
}

// notDigits is larger than any calendar field, also times 100 and plus another.
const notDigits = 1 << 16

// twoDigits returns the number that two bytes spell, or notDigits.
func twoDigits(b []byte) uint {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return notDigits
	}
	return uint(hi)*10 + uint(lo)
}

// fraction reads one to nine digits of a second as nanoseconds and returns
// what follows them, nil if there are none or more.
func fraction(b []byte) (ns uint, rest []byte) {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		if n++; n > 9 {
			return 0, nil
		}
		ns = ns*10 + uint(b[n-1]-'0')
	}
	if n == 0 {
		return 0, nil
	}
	for i := n; i < 9; i++ {
		ns *= 10
	}
	return ns, b[n:]
}

// daysIn returns the length of a month (1 to 12), 0 for any other month.
func daysIn(year, month uint) uint {
	switch month {
	case 1, 3, 5, 7, 8, 10, 12:
		return 31
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 0
}

// daysSinceEpoch returns the days from 1970-01-01 to a date not before it in
// the Gregorian calendar. Years begin in March here, so that the leap day is
// the last of its year.
func daysSinceEpoch(year, month, day uint) uint {
	if month <= 2 {
		year--
		month += 12
	}
	const epoch = 719468 // days from March 1 of year 0 to 1970-01-01
	days := year*365 + year/4 - year/100 + year/400
	return days + (153*(month-3)+2)/5 + day - 1 - epoch
}
